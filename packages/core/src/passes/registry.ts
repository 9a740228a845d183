import { commonSubexpressions } from './common-subexpressions.ts'
import { constantToInitializer } from './constant-to-initializer.ts'
import { deadCode } from './dead-code.ts'
import { deduplicateInitializers } from './deduplicate-initializers.ts'
import { foldConstants } from './fold-constants.ts'
import { freezeInputs } from './freeze-inputs.ts'
import { inferShapesPass } from './infer-shapes.ts'
import type { Pass } from './pass.ts'
import { rulePass } from './rule.ts'
import { RULES } from './rules/index.ts'
import { simplifyShapes } from './simplify-shapes.ts'
import { splitSharedWeights } from './split-shared-weights.ts'

/** Every pass by name, in the order in which the default lists run them. */
export const PASSES = {
  'freeze-inputs': freezeInputs,
  'constant-to-initializer': constantToInitializer,
  'inline-if': rulePass(RULES['inline-if']),
  'infer-shapes': inferShapesPass,
  'simplify-shapes': simplifyShapes,
  'cast-like-to-cast': rulePass(RULES['cast-like-to-cast']),
  'fold-constants': foldConstants(),
  'eliminate-identity': rulePass(RULES['eliminate-identity']),
  'eliminate-dropout': rulePass(RULES['eliminate-dropout']),
  'eliminate-noop': rulePass(RULES['eliminate-noop']),
  'fuse-transposes': rulePass(RULES['fuse-transposes']),
  'fuse-reshapes': rulePass(RULES['fuse-reshapes']),
  'fuse-pad': rulePass(RULES['fuse-pad']),
  'matmul-add-to-gemm': rulePass(RULES['matmul-add-to-gemm']),
  'merge-bias': rulePass(RULES['merge-bias']),
  'fold-batchnorm': rulePass(RULES['fold-batchnorm']),
  'fold-scale': rulePass(RULES['fold-scale']),
  'fold-batchnorm-forward': rulePass(RULES['fold-batchnorm-forward']),
  'common-subexpressions': commonSubexpressions,
  'dead-code': deadCode,
  'deduplicate-initializers': deduplicateInitializers,
  'split-shared-weights': splitSharedWeights,
  'batchnorm-to-conv': rulePass(RULES['batchnorm-to-conv']),
} satisfies Record<string, Pass>

export type PassName = keyof typeof PASSES

/** Opt-in passes, which no default list holds. */
const OPTIONAL: readonly PassName[] = ['split-shared-weights', 'batchnorm-to-conv']

/** What `fewbit optimize` runs: everything that keeps the outputs and makes the graph smaller. */
export const optimizePasses: readonly Pass[] = Object.entries(PASSES)
  .filter(([name]) => !OPTIONAL.includes(name as PassName))
  .map(([, pass]) => pass)

/** What runs before planning: the same, but equal weights stay apart, so that each can get its own parameters. */
export const quantizePreparePasses: readonly Pass[] = optimizePasses.filter(
  (pass) => pass !== PASSES['deduplicate-initializers'],
)
