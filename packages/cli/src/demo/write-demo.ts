import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { problem } from '@fewbit/core/util'
import { saveModel } from '@fewbit/engine-node'
import { drawPicture, SIDE, SPLITS, type Split } from './pictures.ts'
import type { DemoResult } from './run-demo.ts'
import { CLASSES } from './shapes.ts'
import type { TrainDemoResult } from './train-demo.ts'

/** Pictures written for each split. */
const WRITTEN = { calibrate: 128, test: 256 } as const

/** @throws FewbitError DEMO_FOLDER if the folder holds anything: nothing of the user's is overwritten. */
export async function checkFolder(folder: string): Promise<void> {
  if (!existsSync(folder)) return
  const entries = await readdir(folder)
  if (entries.length > 0) {
    throw problem('DEMO_FOLDER', `the folder holds ${entries.length} files already`, {
      at: { file: folder, option: 'output' },
      fix: 'name a new or empty folder',
    })
  }
}

/** Writes the three models, and pictures in one subfolder for each class. */
export async function writeDemo(result: DemoResult, folder: string, signal: AbortSignal): Promise<void> {
  await fillFolder(folder, async (partial) => {
    await saveModel(result.float, join(partial, 'demo.onnx'))
    await saveModel(result.careless.model, join(partial, 'demo.careless.onnx'))
    await saveModel(result.fewbit.model, join(partial, 'demo.int8.onnx'))
    for (const split of ['calibrate', 'test'] as const) await writePictures(partial, split, WRITTEN[split], signal)
  })
}

/** Writes the networks that `demo --train` made. */
export async function writeTrainDemo({ float, nearest, trained }: TrainDemoResult, folder: string): Promise<void> {
  await fillFolder(folder, async (partial) => {
    await saveModel(float.model, join(partial, 'float.onnx'))
    await saveModel(nearest.model, join(partial, 'w4a4.onnx'))
    await saveModel(trained.qfloat.model, join(partial, 'w4a4.qfloat.onnx'))
    await saveModel(trained.model, join(partial, 'w4a4.trained.onnx'))
  })
}

/** The folder appears complete or not at all: it is filled under another name, which is removed after a failure or an abort. */
async function fillFolder(folder: string, fill: (partial: string) => Promise<void>): Promise<void> {
  await checkFolder(folder)
  const target = resolve(folder)
  const partial = `${target}.partial-${process.pid}`
  try {
    await mkdir(partial, { recursive: true })
    await fill(partial)
    await mkdir(dirname(target), { recursive: true })
    if (existsSync(target)) await rmdir(target)
    await rename(partial, target)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    throw error
  }
}

async function writePictures(folder: string, split: Split, count: number, signal: AbortSignal): Promise<void> {
  const { default: sharp } = await import('sharp')
  for (const name of CLASSES) await mkdir(join(folder, split, name), { recursive: true })
  for (let i = 0; i < count; i++) {
    signal.throwIfAborted()
    const { label, pixels } = drawPicture(SPLITS[split], i)
    const file = join(folder, split, CLASSES[label] as string, `${String(i).padStart(4, '0')}.png`)
    await sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } })
      .png()
      .toFile(file)
  }
}
