import type { QatContext } from '../../qat/index.ts'
import type { Run } from '../run.ts'

/** What a run knows by name. */
export const contextOf = ({ ops, registries }: Pick<Run, 'ops' | 'registries'>): QatContext => ({
  ops,
  quantizers: registries.fakeQuantizers,
})
