import { basename, extname } from 'node:path'
import type { Model } from '@fewbit/core/ir'
import type { BenchNetwork } from '@fewbit/core/pipeline'
import { problem } from '@fewbit/core/util'
import { ZOO, type ZooEntry, zooHint, zooName } from '@fewbit/core/zoo'
import { loadModel } from '@fewbit/engine-node'
import type { CommandContext } from '../command.ts'
import type { DataFlags } from '../data-flags.ts'
import { loadedFrom, zooFactsOf, zooNetwork } from '../zoo-network.ts'
import type { BenchFlags } from './bench-flags.ts'
import { floatNetwork } from './bench-float.ts'

interface Given {
  /** As it was written. */
  readonly text: string
  readonly name: string
  readonly model: Model
  readonly kind: 'file' | 'drawn' | 'loaded'
  /** File of its weights. */
  readonly weights?: string
}

interface BenchNetworks {
  readonly networks: Readonly<Record<string, Model | BenchNetwork>>
  /** With the preprocessing that networks of the zoo are made for. */
  readonly flags: BenchFlags
}

/**
 * What `--models` names. All of it is looked at, and data are opened, before the first network is trained.
 * @throws FewbitError BENCH_MODEL for what is neither a file nor in the zoo, and for two networks of one name; BENCH_FLOAT; BENCH_PRESET; FILE_*,
 *   ONNX_*, WEIGHTS_*, DATA_*
 */
export async function benchNetworks(cx: CommandContext, given: BenchFlags): Promise<BenchNetworks> {
  const written: Given[] = []
  for (const text of given.models) written.push(await networkOf(text, given))
  const all = written.map((one) => inForm(cx, one, written, given))
  refuseSameNames(all)
  refuseUnused(all, given)
  const flags = { ...presetOf(all, given), ...given }
  const networks: Record<string, Model | BenchNetwork> = {}
  for (const one of all) networks[one.name] = await benchNetwork(cx, one, flags)
  return { networks, flags }
}

async function networkOf(text: string, flags: BenchFlags): Promise<Given> {
  const [written, weights] = splitAt(text, text.indexOf('='))
  const name = zooName(written)
  if (name) {
    const { model } = zooNetwork(name, flags)
    if (weights === undefined) return { text, name, model, kind: 'drawn' }
    return { text, name, model: (await loadedFrom(model, weights)).model, kind: 'loaded', weights }
  }
  if (extname(text) === '.onnx')
    return { text, name: basename(text, '.onnx'), model: await loadModel(text), kind: 'file' }
  throw problem('BENCH_MODEL', `"${text}" is neither an ONNX file nor a network of the zoo`, {
    at: { option: 'models' },
    fix: zooHint(written),
  })
}

/** The form of a network that is made for the pictures of the first one: mobilenet-v2-cifar for mobilenet-v2 beside resnet20. */
function inForm({ console }: CommandContext, one: Given, [first]: readonly Given[], flags: BenchFlags): Given {
  const { name, model, kind } = one
  const preset = first && zooFactsOf(first.model).preset
  if (kind !== 'drawn' || flags.preset !== undefined || preset === zooFactsOf(model).preset) return one
  const forms = Object.entries<ZooEntry>(ZOO).filter(([, entry]) => entry.preset === preset)
  const [form] = forms.find(([other]) => other.startsWith(`${name}-`)) ?? []
  if (form === undefined) return one
  console.err.write(`${name}: ${form} is taken, which is made for the pictures of ${first?.name}\n`)
  return { ...one, name: form, model: zooNetwork(form, flags).model }
}

const splitAt = (text: string, at: number): [string, string?] =>
  at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]

async function benchNetwork(cx: CommandContext, one: Given, flags: BenchFlags): Promise<Model | BenchNetwork> {
  const { kind, name, model, weights } = one
  if (kind === 'file') return model
  if (weights === undefined) return floatNetwork(cx, { name, model }, flags)
  return { recipe: { network: zooFactsOf(model), weights: basename(weights) }, make: async () => model }
}

function refuseSameNames(all: readonly Given[]): void {
  const twice = all.find((one, i) => all.findIndex(({ name }) => name === one.name) < i)
  if (!twice) return
  throw problem('BENCH_MODEL', `two networks are called "${twice.name}"`, {
    at: { option: 'models' },
    fix: 'give one of them as a file of another name',
  })
}

/** @throws FewbitError BENCH_FLOAT for flags that mean nothing to these networks. */
function refuseUnused(all: readonly Given[], { floatEpochs, classes }: BenchFlags): void {
  const refuse = (option: string, about: string): Error =>
    problem('BENCH_FLOAT', `--${option} is about ${about}, and --models has none`, {
      at: { option },
      fix: 'leave it out, or name such a network: "fewbit zoo" lists them',
    })
  if (floatEpochs !== undefined && all.every(({ kind }) => kind !== 'drawn'))
    throw refuse('float-epochs', 'networks of the zoo without weights, which are trained first')
  if (classes !== undefined && all.every(({ kind }) => kind === 'file')) throw refuse('classes', 'networks of the zoo')
}

/**
 * How pictures become inputs where no flag says it: as the networks of the zoo want it. One table is about one kind of data.
 * @throws FewbitError BENCH_PRESET where networks want different things.
 */
function presetOf(all: readonly Given[], { preset }: BenchFlags): Pick<DataFlags, 'preset'> {
  if (preset !== undefined || all.every(({ kind }) => kind === 'file')) return {}
  const wanted = new Map(all.map(({ text, model }) => [text, zooFactsOf(model).preset]))
  const [first] = wanted.values()
  if (new Set(wanted.values()).size === 1) return first === undefined ? {} : { preset: first }
  throw problem('BENCH_PRESET', 'the networks are not made for the same pictures', {
    at: { option: 'preset' },
    notes: [...wanted].map(
      ([text, name]) => `${text}: ${name === undefined ? 'no preset is known' : `--preset ${name}`}`,
    ),
    fix: 'say with --preset how all of them get their pictures, or compare them in tables of their own',
  })
}
