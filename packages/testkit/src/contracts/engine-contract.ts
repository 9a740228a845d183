import { type Engine, evaluateModel, type Feeds, type LoadOptions, probeModel } from '@fewbit/core/engine'
import { type Model, serializeModel, Tensor, tensorType } from '@fewbit/core/ir'
import { type DType, encodeUtf8, FewbitError } from '@fewbit/core/util'
import { newModel } from '../models.ts'
import { type ContractCheck, demand, demandEqual } from './contract.ts'
import {
  BOUNDARY_VALUES,
  castTo,
  quantizedInputScale,
  quantizedProduct,
  quantizedProductOf,
  quantizedProductScale,
  unary,
} from './engine-cases.ts'

/** Types that live inside graphs only. */
const INTERNAL = ['int4', 'uint4', 'int2', 'float8e4m3fn', 'bfloat16'] as const

/** What every engine promises. The engine is asked for anew in each check, because making one may take its time. */
export function engineContract(engineOf: () => Engine): ContractCheck[] {
  const check = (name: string, work: (engine: Engine) => Promise<void>): ContractCheck => ({
    name,
    run: () => work(engineOf()),
  })
  return [
    check('names itself, its version and what it can do', describesItself),
    ...Object.keys(BOUNDARY_VALUES).map((dtype) =>
      check(`passes ${dtype} through unchanged`, (engine) => passes(engine, dtype as keyof typeof BOUNDARY_VALUES)),
    ),
    check('passes strings, and views that are not aligned', passesOddStorage),
    ...INTERNAL.map((dtype) =>
      check(`refuses an output of type ${dtype}, declared or inferred, and lives on`, (e) => refuses(e, dtype)),
    ),
    check('says what the model takes and what it was given', complains),
    check('evaluates a model without inputs', evaluatesConstants),
    check('gives the outputs that are wanted, and shows intermediates', givesWanted),
    check('keeps apart sessions that are created and run at the same time', keepsApart),
    check('releases twice without complaint', releasesTwice),
    check('simulates quantizers in float, and says the same at every other level of optimization', simulates),
  ]
}

async function run(engine: Engine, model: Model, feeds: Feeds, options: LoadOptions = {}): Promise<Feeds> {
  const session = await engine.load(serializeModel(model), options)
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (error) => (error instanceof FewbitError ? error.code : `${error}`),
  )

async function describesItself({ name, version, capabilities }: Engine): Promise<void> {
  demand(/^[a-z][a-z0-9-]*$/.test(name), () => `"${name}" is no name`)
  demand(/^\d+\.\d+/.test(version), () => `"${version}" is no version`)
  const { maxOpset, maxIrVersion, providers, threads } = capabilities
  demand(maxOpset >= 17 && maxIrVersion >= 8, () => `opset ${maxOpset}, IR version ${maxIrVersion}`)
  demand(providers.length > 0 && threads >= 1, () => `${providers.length} providers, ${threads} threads`)
}

async function passes(engine: Engine, dtype: keyof typeof BOUNDARY_VALUES): Promise<void> {
  const data = BOUNDARY_VALUES[dtype]
  const { y } = await run(engine, unary('Identity', dtype, dtype), { x: Tensor.fromStorage(dtype, [1, 2], data) })
  demandEqual([y?.dtype, y?.dims], [dtype, [1, 2]], 'type and dims')
  demandEqual(Array.from(y?.storage() ?? [], String), Array.from(data, String), 'values')
}

async function passesOddStorage(engine: Engine): Promise<void> {
  const strings = Tensor.strings([1, 2], ['a', 'é'].map(encodeUtf8))
  const text = await run(engine, unary('Identity', 'string', 'string'), { x: strings })
  demandEqual(text.y?.stringBytes().map(String), strings.stringBytes().map(String), 'strings')
  const bytes = new Uint8Array(9)
  bytes.set(new Uint8Array(Float32Array.of(3, 4).buffer), 1)
  const odd = Tensor.fromBytes('float32', [1, 2], bytes.subarray(1))
  const { y } = await run(engine, unary('Neg', 'float32', 'float32'), { x: odd })
  demandEqual(Array.from(y?.numbers() ?? []), [-3, -4], 'negated')
}

async function refuses(engine: Engine, dtype: DType): Promise<void> {
  const codes = [
    await codeOf(engine.load(serializeModel(castTo(dtype)))),
    await codeOf(engine.load(serializeModel(castTo(dtype, false)))),
    await codeOf(evaluateModel(engine, castTo(dtype))),
  ]
  // A build without kernels for the type refuses it with words of its own.
  const refused = codes.every((code) => code === 'ENGINE_UNSUPPORTED' || code === 'ENGINE_LOAD')
  demand(refused, () => `codes of errors: ${codes.join()}`)
  await passes(engine, 'float32')
}

async function complains(engine: Engine): Promise<void> {
  const relu = unary('Relu', 'float32', 'float32')
  const wrong = await run(engine, relu, { x: Tensor.float32([3], [1, 2, 3]) }).catch((error: Error) => error.message)
  const expected = /ENGINE_RUN[\s\S]*takes x float32\[N,2\][\s\S]*given x float32\[3\]/
  demand(typeof wrong === 'string' && expected.test(wrong), () => `of feeds that do not fit: ${wrong}`)
  demandEqual(await codeOf(engine.load(new Uint8Array([1, 2, 3]))), 'ENGINE_LOAD', 'of bytes that are no model')
}

async function evaluatesConstants(engine: Engine): Promise<void> {
  const { model, b } = newModel()
  const a = b.constant('a', Tensor.float32([2], [1, 2]))
  b.output(b.op('Add', [a, a], {}, { output: 'y' })).type = tensorType('float32', [2])
  demandEqual(Array.from((await evaluateModel(engine, model)).y?.numbers() ?? []), [2, 4], 'a + a')
}

async function givesWanted(engine: Engine): Promise<void> {
  const { model, b } = newModel()
  const type = tensorType('float32', ['N', 2])
  const rectified = b.op('Relu', [b.input('x', type)], {}, { output: 'rectified' })
  rectified.type = type
  b.output(b.op('Neg', [rectified], {}, { output: 'y' })).type = type
  const session = await engine.load(probeModel(model, ['rectified']))
  try {
    const feeds = { x: Tensor.float32([1, 2], [-1, 2]) }
    const all = await session.run(feeds)
    demandEqual(Object.keys(all).sort(), ['rectified', 'y'], 'all outputs')
    demandEqual(Array.from(all.rectified?.numbers() ?? []), [0, 2], 'the intermediate')
    demandEqual(Object.keys(await session.run(feeds, ['y'])), ['y'], 'the one that is wanted')
  } finally {
    await session.release()
  }
}

async function keepsApart(engine: Engine): Promise<void> {
  const double = async (value: number): Promise<number | undefined> => {
    const { model, b } = newModel()
    const x = b.input('x', tensorType('float32', [1]))
    b.output(b.op('Add', [x, b.constant('k', Tensor.float32([1], [value]))], {}, { output: 'y' })).type = x.type
    return (await run(engine, model, { x: Tensor.float32([1], [value]) })).y?.numbers()[0]
  }
  demandEqual(await Promise.all([1, 2, 3, 4].map(double)), [2, 4, 6, 8], 'x + x')
}

async function releasesTwice(engine: Engine): Promise<void> {
  const session = await engine.load(serializeModel(unary('Relu', 'float32', 'float32')))
  await session.release()
  await session.release()
}

async function simulates(engine: Engine): Promise<void> {
  const model = quantizedProduct()
  const input = Float32Array.from({ length: 256 }, (_, a) => a * quantizedInputScale)
  const feeds = { x: Tensor.float32([256, 1], input) }
  const codes = async (options: LoadOptions): Promise<number[]> => {
    const { y } = await run(engine, model, feeds, options)
    return Array.from(y?.numbers() ?? [], (v) => Math.round(v / quantizedProductScale))
  }
  const misses = (found: readonly number[], arithmetic: 'float' | 'integer') =>
    found.filter((found, a) => found !== quantizedProductOf(a, arithmetic)).length
  const simulated = await codes({ optimization: 'simulate' })
  demand(
    misses(simulated, 'float') < misses(simulated, 'integer'),
    () => `${misses(simulated, 'float')} of 256 codes are not those of float arithmetic`,
  )
  demandEqual(await codes({ optimization: 'none' }), simulated, 'without optimization')
  demandEqual(await codes({ optimization: 'basic' }), simulated, 'with basic optimization')
}
