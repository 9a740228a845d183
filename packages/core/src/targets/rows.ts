import type { FusePattern, OpRule } from '../quant/index.ts'

/** The backend has an integer kernel. */
export const INTEGER: OpRule = { mode: 'integer' }

/** The backend copies codes or picks among them, so that the result has the scale of input 0. */
export const MOVES: OpRule = { mode: 'pass', share: 'input0' }

/** A Resize that copies its nearest element moves codes; one that interpolates does not. */
export const MOVES_NEAREST: OpRule = { ...MOVES, attrs: { mode: ['nearest'] } }

/** The sums of a Gemm are those of a matrix product only where nothing else is multiplied in. */
export const PLAIN_GEMM: OpRule = { mode: 'integer', attrs: { alpha: [1], beta: [1] } }

/** One rule for several operators. */
export const each = (rule: OpRule, types: readonly string[]): Record<string, OpRule> =>
  Object.fromEntries(types.map((type) => [type, rule]))

/** Operators that write the same elements in the same order under another shape. */
export const RESHAPES = ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'] as const

/** Operators that write elements of their input in another order, some of them not or several times. */
export const REORDERS = [
  'Transpose',
  'Slice',
  'Split',
  'Gather',
  'Expand',
  'Tile',
  'DepthToSpace',
  'SpaceToDepth',
] as const

export const CLIPS = ['Relu', 'Clip'] as const

/** One pattern for each chain behind the hosts, named by what it absorbs. Chains of several operators are written `Add+Relu`. */
export const fuse = (
  hosts: readonly string[],
  chains: readonly string[],
  clips?: FusePattern['clips'],
): readonly FusePattern[] =>
  chains.map((name) => ({ name, hosts, chain: name.split('+'), ...(clips ? { clips } : {}) }))
