import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Artifact, EXPORTERS, type Exporter, type ExporterName } from '@fewbit/core/exporters'
import { cloneModel } from '@fewbit/core/ir'
import { FewbitError } from '@fewbit/core/util'
import { saveModel } from '@fewbit/engine-node'
import type { Case } from './backend.ts'

/**
 * What the exporter writes for a case.
 * @throws FewbitError with what the exporter's check holds against it.
 */
export function artefactsOf({ network, float, plan, params, target }: Case, name: ExporterName): Artifact[] {
  const cx = { name: network, model: cloneModel(float), plan, params, target }
  const exporter: Exporter = EXPORTERS[name]
  const errors = exporter.check(cx).filter(({ level }) => level === 'error')
  if (errors.length > 0) throw new FewbitError(errors)
  return exporter.emit(cx)
}

/** Writes the exporter's files into a folder; returns their names in its order. */
export async function writeArtefacts(cx: Case, exporter: ExporterName, folder: string): Promise<string[]> {
  const artefacts = artefactsOf(cx, exporter)
  for (const artefact of artefacts) {
    if (artefact.kind === 'model') await saveModel(artefact.model, join(folder, artefact.name))
    else writeFileSync(join(folder, artefact.name), artefact.bytes)
  }
  return artefacts.map(({ name }) => name)
}
