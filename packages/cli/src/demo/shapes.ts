/** Signed distance to a shape that fills the unit circle: negative inside. */
type SignedDistance = (u: number, v: number) => number

const circle = (u: number, v: number, radius: number): number => Math.sqrt(u * u + v * v) - radius
const box = (u: number, v: number, halfWidth: number, halfHeight: number): number =>
  Math.max(Math.abs(u) - halfWidth, Math.abs(v) - halfHeight)

/** Equilateral, point down the positive v axis. */
const triangle: SignedDistance = (u, v) => Math.max(-v, 0.5 * v + 0.866 * Math.abs(u)) - 0.5

/** By class name, in the order of labels, which is the alphabetical order of class folders. */
export const SHAPES = {
  bars: (u, v) => Math.max(Math.abs(Math.abs(u) - 0.52) - 0.24, Math.abs(v) - 0.8),
  crescent: (u, v) => Math.max(circle(u, v, 0.95), -circle(u - 0.5, v, 0.75)),
  cross: (u, v) => Math.min(box(u, v, 0.28, 0.95), box(u, v, 0.95, 0.28)),
  disc: (u, v) => circle(u, v, 0.85),
  ring: (u, v) => Math.abs(circle(u, v, 0.7)) - 0.2,
  square: (u, v) => box(u, v, 0.75, 0.75),
  star: (u, v) => Math.min(triangle(u, v), triangle(u, -v)),
  triangle,
} as const satisfies Record<string, SignedDistance>

export type ShapeName = keyof typeof SHAPES
export const CLASSES = Object.keys(SHAPES) as readonly ShapeName[]

/** A shape in a picture: centre and radius in pixels, turned by the angle whose cosine and sine are given. */
export interface Placed {
  readonly shape: ShapeName
  readonly x: number
  readonly y: number
  readonly radius: number
  readonly cos: number
  readonly sin: number
}

/** Share of a pixel that a shape covers, by its distance to the edge: 0 to 1. */
export function coverage(placed: Placed, x: number, y: number): number {
  const dx = (x - placed.x) / placed.radius
  const dy = (y - placed.y) / placed.radius
  const distance = SHAPES[placed.shape](placed.cos * dx + placed.sin * dy, placed.cos * dy - placed.sin * dx)
  return Math.min(1, Math.max(0, 0.5 - distance * placed.radius))
}
