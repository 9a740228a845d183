export type { FloatIsland, KernelKind, KernelSummary, KernelTime } from './kernels.ts'
export { type EngineSpeed, type KernelTrace, type Speed, type SpeedOptions, speed, type TimedEngine } from './speed.ts'
export type { Timing } from './timing.ts'
