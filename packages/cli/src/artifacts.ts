import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import type { Artifact } from '@fewbit/core/exporters'
import {
  type Export,
  type ExportOptions,
  exporterNamed,
  type Recipe,
  type RunOptions,
  recipeJson,
  registriesWith,
} from '@fewbit/core/pipeline'
import type { QuantPlan } from '@fewbit/core/quant'
import { type Diagnostic, encodeUtf8, problem } from '@fewbit/core/util'
import { checkFolder, checkWritable, saveModel, writeAtomically, writeFolder } from '@fewbit/engine-node'
import { toJson } from './output.ts'

/** What `-o` names: one file, or a folder for all that a backend reads. */
export interface Destination {
  readonly kind: 'file' | 'folder'
  readonly path: string
}

/**
 * A folder ends in a slash, exists, or has a name without an extension. Whether it can be written is found out before the work.
 * @throws FewbitError FILE_*, FOLDER_FOREIGN; OUTPUT_IS_INPUT, because the float model is what everything else starts from.
 */
export function destinationFor(output: string, input: string): Destination {
  const isFolder =
    /[/\\]$/.test(output) || (existsSync(output) ? statSync(output).isDirectory() : extname(output) === '')
  const path = isFolder ? output.replace(/[/\\]+$/, '') || output : output
  if (isFolder) checkFolder(path)
  else checkWritable(path)
  if (!isFolder) refuseInput(path, input, 'output')
  return { kind: isFolder ? 'folder' : 'file', path }
}

/**
 * That a page can be written into a file is found out before the work.
 * @throws FewbitError FILE_*; OUTPUT_IS_INPUT for the file of a model.
 */
export function checkPage(path: string, inputs: readonly string[]): void {
  checkWritable(path)
  for (const input of inputs) refuseInput(path, input, 'html')
}

function refuseInput(path: string, input: string, option: string): void {
  if (!existsSync(path) || !existsSync(input) || realpathSync(path) !== realpathSync(input)) return
  throw problem('OUTPUT_IS_INPUT', 'the result would replace the model that it is made from', {
    at: { option, file: path },
    fix: option === 'output' ? 'choose another path with -o' : `choose another path with --${option}`,
  })
}

/** Base name of the artefacts of a model: its file without the suffix. */
export const artifactName = (input: string): string => basename(input).replace(/\.onnx$/i, '')

/** A file beside an output: `out/q.onnx` and `.qfloat.onnx` → `out/q.qfloat.onnx`; of a folder, the name beside it. */
export const beside = (output: string, ending: string): string =>
  join(dirname(output), `${artifactName(output)}${ending}`)

/**
 * One file holds one form: the backend's first unless another one is named.
 * @throws FewbitError OUTPUT_KIND for several forms in one file, EXPORTER_UNKNOWN.
 */
export function formsFor(
  { kind, path }: Destination,
  exporters: readonly string[] | undefined,
  { ops, extensions }: Pick<RunOptions, 'ops' | 'extensions'>,
): ExportOptions {
  for (const name of exporters ?? []) exporterNamed(name, registriesWith(extensions, ops))
  if (kind === 'file' && exporters && exporters.length > 1) {
    throw problem('OUTPUT_KIND', `${exporters.length} forms do not fit into one file`, {
      at: { option: 'output', file: path },
      fix: `name a folder: -o ${folderBeside(path)}/`,
    })
  }
  return {
    forms: kind === 'file' ? 'first' : 'all',
    ...(exporters ? { exporters } : {}),
    ...(ops ? { ops } : {}),
    ...(extensions ? { extensions } : {}),
  }
}

const folderBeside = (path: string): string => join(dirname(path), basename(path, extname(path)))

export interface Written {
  readonly output: string
  /** Inside the output folder; absent for a single file. */
  readonly files?: readonly string[]
  readonly diagnostics: readonly Diagnostic[]
}

export interface Documents {
  readonly plan: QuantPlan
  readonly recipe?: Recipe
}

/** Writes an export. What does not fit into the single file that the user named goes into a folder beside it, so that no work is lost. */
export async function writeExport(
  { artifacts, exporters }: Export,
  { kind, path }: Destination,
  { plan, recipe }: Documents,
): Promise<Written> {
  const [single, ...more] = artifacts
  if (kind === 'file' && single && more.length === 0 && fits(single, path)) {
    await writeArtifact(single, path)
    return { output: path, diagnostics: [] }
  }
  const output = kind === 'folder' ? path : folderBeside(path)
  const files = await writeFolder(output, { target: plan.target, exporters }, async (folder) => {
    for (const artifact of artifacts) await writeArtifact(artifact, join(folder, artifact.name))
    writeText(join(folder, 'plan.json'), toJson(plan))
    if (recipe) writeText(join(folder, 'recipe.json'), recipeJson(recipe, 2))
  })
  return { output, files, diagnostics: kind === 'folder' ? [] : [movedToFolder(path, output, artifacts.length)] }
}

/** A table must not pass for a model. */
const fits = ({ kind, name }: Artifact, path: string): boolean =>
  kind === 'model' ? !/\.(json|txt|table)$/i.test(path) : extname(name) === extname(path)

const movedToFolder = (path: string, folder: string, count: number): Diagnostic => ({
  code: 'OUTPUT_FOLDER',
  level: 'warning',
  message: `the export is ${count === 1 ? 'a file of another kind' : `${count} files`}, and went into the folder "${folder}"`,
  at: { file: path },
  fix: 'name a folder with -o',
})

/** All of the text or nothing. */
export function writeText(path: string, text: string): void {
  writeAtomically(path, (sink) => sink.write(encodeUtf8(`${text}\n`)))
}

async function writeArtifact(artifact: Artifact, path: string): Promise<void> {
  if (artifact.kind === 'model') return saveModel(artifact.model, path)
  writeAtomically(path, (sink) => sink.write(artifact.bytes))
}
