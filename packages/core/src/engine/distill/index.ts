export { type Distilled, type DistillOptions, type DistillSurroundings, distillData } from './distilled-data.ts'
export { recordedDistillation } from './recorded.ts'
