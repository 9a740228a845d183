import { OpRegistry } from '../registry.ts'
import { DATA_OPS } from './index-data.ts'
import { NN_OPS } from './index-nn.ts'

/** Every operator that fewbit knows. */
export const DEFAULT_OPS = new OpRegistry([...NN_OPS, ...DATA_OPS])
