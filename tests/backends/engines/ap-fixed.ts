import { spawnSync } from 'node:child_process'
import type { SchemeName } from '@fewbit/core/integer'
import type { Backend } from '../backend.ts'
import { pythonBackend } from '../python.ts'
import { integerPlan } from './integer-layers.ts'

/** Shifts, rounded as Xilinx' fixed-point types round. @param rounding as the program reads it. */
function apFixed(name: string, mode: string, rounding: 'u' | 'e' | 'a' | 'f', integers: SchemeName): Backend {
  const backend = pythonBackend({
    name: `ap-fixed-${name}`,
    title: `Xilinx ap_fixed, ${mode}`,
    target: 'fpga-pot',
    packages: ['numpy==2.4.6'],
    alone: ['hls4ml==1.3.0'],
    module: 'numpy',
    cache: 'ap_fixed',
    script: 'ap_fixed_engine.py',
    integers,
    kinds: ['conv', 'depthwise', 'linear'],
    causes: [],
    artefacts: async (cx) => ({ plan: integerPlan(cx), rounding }),
  })
  const hasCompiler = () => spawnSync('g++', ['--version']).status === 0
  return { ...backend, unavailable: () => (hasCompiler() ? backend.unavailable?.() : 'there is no g++') }
}

export const apFixedBackends: readonly Backend[] = [
  apFixed('half-up', 'AP_RND', 'u', 'pot'),
  apFixed('half-even', 'AP_RND_CONV', 'e', 'pot-half-even'),
  apFixed('half-away', 'AP_RND_INF', 'a', 'pot-half-away'),
  apFixed('floor', 'AP_TRN', 'f', 'pot-floor'),
]
