import type { Model } from '@fewbit/core/ir'
import {
  exportArtifacts,
  recipeOfModel,
  stampTraining,
  type TrainOptions,
  type TrainQatOptions,
  type TrainQatResult,
  type TrainResult,
  train,
  trainQat,
} from '@fewbit/core/pipeline'
import { isQFloat } from '@fewbit/core/qat'
import { type Diagnostic, problem } from '@fewbit/core/util'
import { checkWritable, profileStep, saveModel } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { artifactName, beside, type Destination, destinationFor, formsFor } from '../artifacts.ts'
import { checkpointFile, checkpointPath, withCheckpoint } from '../checkpoint-file.ts'
import { action, type CommandBody, type CommandContext, type CommandResult, type Invocation } from '../command.ts'
import { loadFixed, withFixedInputs } from '../fixed-inputs.ts'
import { renderTraining } from '../render/training.ts'
import { writeResult } from '../write-result.ts'
import { zooNetwork } from '../zoo-network.ts'
import { type GivenTrainFlags, type TrainFlags, withTrainFlags } from './train-flags.ts'
import { floatBatchNorm, qatCourse, quantizationOf, refuseQatCourse, trainOptions } from './train-options.ts'
import { profiled, refuseWithoutOutput } from './train-profile.ts'

const body: CommandBody<[string | undefined, GivenTrainFlags]> = async (cx, file, given) => {
  const { output } = given
  if (output === undefined) refuseWithoutOutput(given)
  const { model, name, flags: whole } = await networkOf(file, given)
  const flags: TrainFlags = { output: '', ...whole }
  const quantization = quantizationOf(cx, flags)
  const isQuantized = quantization !== undefined || isQFloat(model)
  if (!isQuantized) refuseQatCourse(flags)
  if (output === undefined) return profiled(cx, model, flags, { quantization, isQuantized })
  const destination = destinationFor(flags.output, file ?? name)
  if (destination.kind === 'folder' && !isQuantized) throw noFile(flags.output, name)
  const checkpoint = checkpointFile(flags.checkpoint ?? checkpointPath(flags.output, 'train'))
  checkWritable(checkpoint.name)
  const profile = flags.profile ? { profile: profileStep } : {}
  const options = { ...(await trainOptions(cx, model, flags)), ...profile, memory: checkpoint }
  return withCheckpoint(checkpoint, { keep: flags.keepCheckpoint, console: cx.console }, () =>
    isQuantized
      ? quantized(
          cx,
          model,
          { ...options, ...qatCourse(flags), ...(quantization && { quantization }) },
          { destination, name },
        )
      : float(model, { ...options, ...floatBatchNorm(flags) }, destination.path),
  )
}

interface Network {
  readonly model: Model
  readonly name: string
  /** With the preprocessing that a network of the zoo is made for. */
  readonly flags: GivenTrainFlags
}

/** @throws FewbitError TRAIN_NETWORK unless there is one of a file and a name of the zoo. */
async function networkOf(file: string | undefined, flags: GivenTrainFlags): Promise<Network> {
  const { zoo } = flags
  if (file !== undefined && zoo === undefined)
    return { model: await loadFixed(file, flags), name: artifactName(file), flags }
  if (file !== undefined || zoo === undefined) {
    throw problem('TRAIN_NETWORK', 'training needs one network: a file, or a name of the zoo', {
      at: { option: 'zoo' },
      fix: 'write fewbit train model.onnx …, or fewbit train --zoo resnet20 …',
    })
  }
  const { model, ...data } = zooNetwork(zoo, flags)
  return { model, name: zoo, flags: { ...data, ...flags } }
}

const noFile = (output: string, name: string): Error =>
  problem('OUTPUT_KIND', 'a trained float network is one file', {
    at: { option: 'output', file: output },
    fix: `name it: -o ${output.replace(/[/\\]+$/, '')}/${name}.onnx`,
  })

async function float(model: Model, options: TrainOptions, path: string): Promise<CommandResult> {
  const result = await train(model, options)
  await saveModel(result.model, path)
  return reported(result, [path], result.diagnostics)
}

async function quantized(
  cx: CommandContext,
  model: Model,
  options: TrainQatOptions,
  { destination, name }: { readonly destination: Destination; readonly name: string },
): Promise<CommandResult> {
  const forms = formsFor(destination, undefined, cx.run)
  const result = await trainQat(model, options)
  const exported = exportArtifacts({ ...result, recipe: recipeOfModel(result.model) }, { ...forms, name })
  for (const artifact of exported.artifacts)
    if (artifact.kind === 'model') stampTraining(artifact.model, result.report.recipe)
  const written = await writeResult(result, exported, destination)
  const qfloat = beside(destination.path, '.qfloat.onnx')
  await saveModel(result.qfloat.model, qfloat)
  const diagnostics = [...result.diagnostics, ...exported.diagnostics, ...written.diagnostics]
  return reported(result, [written.output, qfloat], diagnostics)
}

function reported(
  result: TrainResult | TrainQatResult,
  files: readonly string[],
  diagnostics: readonly Diagnostic[],
): CommandResult {
  const peakMemory = process.resourceUsage().maxRSS * 1024
  const { report } = result
  const conversion = 'conversion' in result ? result.conversion : undefined
  const json = { files, report: { ...report, peakMemory }, ...(conversion && { conversion }), diagnostics }
  return { json, text: renderTraining({ report, conversion, files, peakMemory, diagnostics }) }
}

const EXAMPLES = `
Examples:
  fewbit train --zoo resnet20 --data train/ --eval-data test/ --epochs 30 --augment crop:pad=4,flip -o float.onnx
  fewbit train model.onnx --data train.tar.gz --eval-data test.tar.gz --preset cifar10 --epochs 3 -o tuned.onnx
  fewbit train model.onnx --data train/ --eval-data test/ --preset imagenet --qat lsq --scheme w4a4 --target academic -o q.onnx
  fewbit train small.onnx --data train/ --teacher large.onnx --loss '0.3*cross-entropy + 0.7*distillation' -o small2.onnx
  fewbit train q.qfloat.onnx --data train/ --eval-data test/ --epochs 1 --lr 1e-4 -o q2.onnx
  fewbit train model.onnx --data train/ --preset imagenet --batch 32 --qat lsq --scheme w4a4 --profile`

export function trainCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('train')
    .summary('train a network in float or with fake-quantizers')
    .description(
      'Trains from scratch, tunes a float network, or trains with fake-quantizers and writes the quantized network. A run that is stopped goes on with --resume.',
    )
    .argument('[model]', 'ONNX file: float, or with fake-quantizers that an earlier run has left')
    .option('-o, --output <path>', 'a .onnx file; with --qat also a folder for all that the backend reads')
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
  withTrainFlags(withFixedInputs(command), invocation).action(action(invocation, body))
}
