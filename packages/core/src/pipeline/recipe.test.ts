import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Dataset } from '../engine/index.ts'
import { Model, serializeModel } from '../ir/index.ts'
import { digest } from '../util/index.ts'
import { planModel, type QuantizeOptions, quantize } from './quantize.ts'
import { parseRecipe, type Recipe, recipeJson, recipeOfModel } from './recipe.ts'
import { differences } from './recipe-diff.ts'
import { candidateOf } from './replay.ts'
import { Run } from './run.ts'

const engine = nodeEngine({ threads: 1 })
const pictures = (count = 12, name = 'pictures', seed = 5): Dataset =>
  memoryData(normalData({ x: [1, 4, 8, 8] }, count, seed), [], name)

const first = () =>
  quantize(fixture('residual'), {
    engine,
    smallLayers: 'integer',
    overrides: [{ match: { name: /^C2$/i }, observer: 'percentile' }],
    calibration: { data: pictures(), samples: 10, batchSize: 4 },
    evaluation: { data: pictures(5), metrics: ['mse'] },
  })

const replay = (recipe: Recipe, options: Partial<QuantizeOptions> = {}) =>
  quantize(fixture('residual'), { engine, recipe, calibration: { data: pictures() }, ...options })

const codeOf = (work: Promise<unknown>) => work.then(() => 'no error').catch((e) => e.code)

describe('replaying a recipe', () => {
  it('gives the same bytes, from the file as well, without trying anything', async () => {
    const { model, recipe, report } = await first()
    expect(report.choice.trials.length).toBeGreaterThan(1)
    const saved = parseRecipe(recipeJson(recipe, 2))
    // The same pictures under another name, and more of them than the recipe takes.
    const again = await replay(saved, { calibration: { data: pictures(20, 'copies') } })
    expect(again.report.choice.trials).toEqual([])
    expect(digest(serializeModel(again.model))).toBe(digest(serializeModel(model)))
    expect(again.diagnostics.filter((d) => d.code.startsWith('RECIPE'))).toEqual([])
    expect(recipeOfModel(again.model)).toEqual(recipe)
  })

  it('follows the recorded choice, not its own', async () => {
    const { recipe, plan: before } = await first()
    const conv = before.nodes.find((n) => n.opType === 'Conv')?.node as string
    const measured = before.tensors.filter((t) => t.source.kind === 'calibrate').at(-1)?.value as string
    const choice = { observer: 'minmax', observers: { [measured]: 'percentile' }, floatNodes: [conv] }
    const { plan } = await replay({ ...recipe, choice })
    expect(plan.nodes.find((n) => n.node === conv)?.reason.code).toBe('FLOAT_NODE')
    const observers = plan.tensors.flatMap((t) => (t.source.kind === 'calibrate' ? [t.source.observer] : []))
    expect(new Set(observers)).toEqual(new Set(['minmax', 'percentile']))
  })

  it('refuses other data unless they are allowed, and options that the recipe decides', async () => {
    const { recipe, params } = await first()
    const calibration = { data: pictures(12, 'pictures', 6) }
    expect(await codeOf(replay(recipe, { calibration }))).toBe('RECIPE_DATA')
    const other = await replay(recipe, { calibration, allowOtherData: true })
    expect(other.diagnostics.map((d) => d.code)).toContain('RECIPE_DATA')
    expect([...other.params]).not.toEqual([...params])
    expect(other.recipe.dataDigest).not.toBe(recipe.dataDigest)
    expect(await codeOf(replay(recipe, { perTensor: true }))).toBe('RECIPE_OPTION')
  })

  it('takes another target, and says where model and versions are not those of the recipe', async () => {
    const { recipe } = await first()
    const versions = { fewbit: '0.0.1', engine: recipe.versions.engine }
    const made = await replay({ ...recipe, versions, modelDigest: '0'.repeat(64) }, { target: 'onnxruntime-arm' })
    expect(made.plan.target).toBe('onnxruntime-arm')
    expect(made.recipe.settings.target).toBe('onnxruntime-arm')
    const codes = made.diagnostics.map((d) => d.code)
    expect(codes).toEqual(expect.arrayContaining(['RECIPE_MODEL', 'RECIPE_VERSIONS']))
  })
})

describe('a choice for another backend', () => {
  it('is refused where it wants ranges that nobody measured', async () => {
    const { plan, float } = await planModel(fixture('residual'), { engine, smallLayers: 'integer' })
    const [first] = plan.tensors.flatMap((t) => (t.source.kind === 'calibrate' ? [t.value] : []))
    const choice = { observer: 'minmax', observers: {}, floatNodes: [], trials: [] }
    const cx = { float, first: plan, stats: new Map(), macs: new Map(), plan: () => plan, run: new Run({ engine }) }
    expect(() => candidateOf(choice, cx)).toThrow(new RegExp(`RECIPE_CHOICE[\\s\\S]*value ${first}`))
  })
})

describe('reading a recipe', () => {
  it('names what is wrong with it', async () => {
    const failure = (text: string) => codeOf(Promise.resolve().then(() => parseRecipe(text)))
    expect(await failure('{')).toBe('RECIPE_FORMAT')
    expect(await failure('{"format":"fewbit-plan","version":1}')).toBe('RECIPE_FORMAT')
    expect(await failure('{"format":"fewbit-recipe","version":1}')).toBe('RECIPE_VERSION')
    expect(await failure('{"format":"fewbit-recipe","version":2}')).toBe('RECIPE_FORMAT')
    expect(await codeOf(Promise.resolve().then(() => recipeOfModel(new Model(fixture('residual').graph))))).toBe(
      'RECIPE_MISSING',
    )
  })
})

describe('differences', () => {
  it('names each path with both sides, and what only one side has', () => {
    const a = { a: 1, list: [1, { x: 'p' }], gone: null, same: { deep: [0] } }
    const b = { a: 2, list: [1, { x: 'q' }, 3], same: { deep: [0] }, come: 0 }
    expect(differences(a, b)).toEqual([
      { path: 'a', before: 1, after: 2 },
      { path: 'list[1].x', before: 'p', after: 'q' },
      { path: 'list[2]', after: 3 },
      { path: 'gone', before: null },
      { path: 'come', after: 0 },
    ])
    expect(differences(a, structuredClone(a))).toEqual([])
  })
})
