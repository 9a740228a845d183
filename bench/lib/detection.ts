import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Box {
  readonly image: number
  readonly cls: number
  readonly score: number
  /** Corners in units of the image: x0, y0, x1, y1. */
  readonly corners: readonly [number, number, number, number]
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** YOLO-format label file: class, centre x and y, width, height; a missing file means no objects. */
export function groundTruth(folder: string, file: string, image: number): Box[] {
  const lines = readLabels(join(folder, file.replace(/\.[a-z]+$/i, '.txt')))
  return lines.map(([cls = 0, x = 0, y = 0, w = 0, h = 0]) => box(image, cls, 1, x, y, w, h))
}

function readLabels(path: string): number[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => line.trim().split(/\s+/).map(Number))
  } catch {
    return []
  }
}

const box = (image: number, cls: number, score: number, x: number, y: number, w: number, h: number): Box => ({
  image,
  cls,
  score,
  corners: [x - w / 2, y - h / 2, x + w / 2, y + h / 2],
})

const GRID = 22
const CLASSES = 80
const CONFIDENCE = 0.01
const NMS_IOU = 0.45
/** COCO's evaluation looks at the best 100 boxes of an image. */
const PER_IMAGE = 100

/**
 * FastestDet's 85 x 22 x 22 output to boxes (data README): one for each cell and class above the threshold, with class-wise
 * non-maximum suppression, the best 100.
 */
export function decodeFastestDet(output: ArrayLike<number>, image: number): Box[] {
  const cells = GRID * GRID
  const at = (channel: number, cell: number): number => output[channel * cells + cell] as number
  const boxes: Box[] = []
  for (let cell = 0; cell < cells; cell++) {
    const objectness = at(0, cell) ** 0.6
    if (!(objectness > CONFIDENCE)) continue
    const x = ((cell % GRID) + Math.tanh(at(1, cell))) / GRID
    const y = (Math.floor(cell / GRID) + Math.tanh(at(2, cell))) / GRID
    const [w, h] = [sigmoid(at(3, cell)), sigmoid(at(4, cell))]
    for (let cls = 0; cls < CLASSES; cls++) {
      const score = objectness * at(5 + cls, cell) ** 0.4
      if (score > CONFIDENCE) boxes.push(box(image, cls, score, x, y, w, h))
    }
  }
  return suppress(boxes).slice(0, PER_IMAGE)
}

function suppress(boxes: readonly Box[]): Box[] {
  const kept: Box[] = []
  for (const candidate of [...boxes].sort((a, b) => b.score - a.score)) {
    if (!kept.some((k) => k.cls === candidate.cls && iou(k, candidate) > NMS_IOU)) kept.push(candidate)
  }
  return kept
}

export function iou({ corners: a }: Box, { corners: b }: Box): number {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  if (w <= 0 || h <= 0) return 0
  const area = (c: Box['corners']): number => (c[2] - c[0]) * (c[3] - c[1])
  return (w * h) / (area(a) + area(b) - w * h)
}

/** Mean over classes of COCO's average precision (precision at 101 recalls), at one IoU threshold. */
export function meanAveragePrecision(found: readonly Box[], truth: readonly Box[], threshold: number): number {
  const classes = [...new Set(truth.map((t) => t.cls))]
  const of = (list: readonly Box[], cls: number): Box[] => list.filter((b) => b.cls === cls)
  const each = classes.map((cls) => averagePrecision(of(found, cls), of(truth, cls), threshold))
  return each.reduce((a, b) => a + b, 0) / Math.max(1, each.length)
}

function averagePrecision(found: readonly Box[], truth: readonly Box[], threshold: number): number {
  const free = new Set(truth)
  const hits = [...found]
    .sort((a, b) => b.score - a.score)
    .map((f) => {
      let best: Box | undefined
      let bestIou = threshold
      for (const t of free) {
        if (t.image !== f.image) continue
        const overlap = iou(t, f)
        if (overlap >= bestIou) {
          best = t
          bestIou = overlap
        }
      }
      return best ? free.delete(best) : false
    })
  return interpolated(hits, truth.length)
}

/** Mean over the recalls 0, 0.01 … 1 of the best precision that is reached at that recall or a higher one. */
function interpolated(hits: readonly boolean[], total: number): number {
  let positive = 0
  const points = hits.map((hit, i) => {
    if (hit) positive++
    return { recall: positive / total, precision: positive / (i + 1) }
  })
  for (let i = points.length - 2; i >= 0; i--) {
    const [here, next] = [points[i] as (typeof points)[number], points[i + 1] as (typeof points)[number]]
    here.precision = Math.max(here.precision, next.precision)
  }
  const recalls = Array.from({ length: 101 }, (_, i) => i / 100)
  const at = recalls.map((recall) => points.find((p) => p.recall >= recall)?.precision ?? 0)
  return at.reduce((a, b) => a + b, 0) / at.length
}
