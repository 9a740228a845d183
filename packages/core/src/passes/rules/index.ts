import type { Rule } from '../rule.ts'
import { batchNormToConv } from './batchnorm-to-conv.ts'
import { castLikeToCast } from './cast-like-to-cast.ts'
import { eliminateDropout, eliminateIdentity } from './eliminate-identity.ts'
import { eliminateNoop } from './eliminate-noop.ts'
import { foldBatchNorm, foldBatchNormForward } from './fold-batchnorm.ts'
import { fusePad } from './fuse-pad.ts'
import { fuseReshapes } from './fuse-reshapes.ts'
import { fuseTransposes } from './fuse-transposes.ts'
import { inlineIf } from './inline-if.ts'
import { matmulAddToGemm } from './matmul-add-to-gemm.ts'
import { foldScale, mergeBias } from './merge-bias.ts'

/** Every rewrite rule by name. */
export const RULES = {
  'batchnorm-to-conv': batchNormToConv,
  'cast-like-to-cast': castLikeToCast,
  'eliminate-dropout': eliminateDropout,
  'eliminate-identity': eliminateIdentity,
  'eliminate-noop': eliminateNoop,
  'fold-batchnorm': foldBatchNorm,
  'fold-batchnorm-forward': foldBatchNormForward,
  'fold-scale': foldScale,
  'fuse-pad': fusePad,
  'fuse-reshapes': fuseReshapes,
  'fuse-transposes': fuseTransposes,
  'inline-if': inlineIf,
  'matmul-add-to-gemm': matmulAddToGemm,
  'merge-bias': mergeBias,
} satisfies Record<string, Rule>

export type RuleName = keyof typeof RULES
