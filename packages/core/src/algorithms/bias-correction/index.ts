export { correctAnalytically } from './analytic.ts'
export { type CorrectedLayer, correctEmpirically } from './empirical.ts'
export { adjustableLayers, difference, isNoise, moveBias, namesOf, rms } from './layers.ts'
