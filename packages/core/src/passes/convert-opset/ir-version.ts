/** The IR version that ONNX introduced together with, or before, each opset (onnx/helper.py, VERSION_TABLE). */
const FIRST_OPSET: readonly (readonly [ir: number, opset: number])[] = [
  [3, 7],
  [4, 9],
  [5, 10],
  [6, 11],
  [7, 12],
  [8, 15],
  [9, 19],
  [10, 21],
  [11, 23],
  [12, 24],
  [13, 25],
]

/** Lowest IR version that a model of this ai.onnx opset should declare. */
export function irVersionFor(opset: number): number {
  return FIRST_OPSET.findLast(([, first]) => first <= opset)?.[0] ?? 3
}
