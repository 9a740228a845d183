import type { Dataset, Sample } from '@fewbit/core/engine'
import { Tensor } from '@fewbit/core/ir'
import { drawPicture, type Picture, SIDE, SPLITS, type Split } from './pictures.ts'

/** What the demo's network calls its input. */
export const INPUT = 'picture'

/** The first `count` pictures of a split, drawn as they are asked for, with pixels in 0 to 1. */
export function pictureData(split: Split, count: number): Dataset {
  return {
    name: `generated pictures (${split})`,
    length: count,
    async *samples(): AsyncGenerator<Sample> {
      for (let i = 0; i < count; i++) {
        const picture = drawPicture(SPLITS[split], i)
        yield { id: `${split} ${i}`, feeds: { [INPUT]: pictureTensor(picture) }, label: picture.label }
      }
    },
    toJSON: () => ({ kind: 'demo-pictures', split, seed: SPLITS[split], samples: count }),
  }
}

/** Height × width × RGB bytes as a float tensor [1, 3, height, width] in 0 to 1. */
export function pictureTensor({ pixels }: Picture): Tensor {
  const area = SIDE * SIDE
  const values = new Float32Array(pixels.length)
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) values[c * area + i] = (pixels[3 * i + c] as number) / 255
  }
  return Tensor.float32([1, 3, SIDE, SIDE], values)
}
