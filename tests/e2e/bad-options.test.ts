import { saveModel } from 'fewbit'
import { beforeAll, describe, expect, it } from 'vitest'
import { Folder, failsCleanly, fewbit } from './harness.ts'
import { smallCnn } from './networks.ts'
import { floats, npz } from './numpy.ts'

const work = new Folder()
const model = work.at('small.onnx')
const data = work.at('data.npz')
const quantize = (...rest: string[]) => ['quantize', model, '--data', data, '-o', work.at('out.onnx'), ...rest]

beforeAll(async () => {
  await saveModel(smallCnn(), model)
  work.put('data.npz', npz({ x: floats([4, 3, 8, 8], Math.sin) }))
})

describe('words that the parser knows are wrong', () => {
  const cases: [string, string[], string][] = [
    ['an unknown command', ['quantise', model], 'Did you mean quantize?'],
    ['an unknown option', quantize('--sample', '3'), 'Did you mean --samples?'],
    ['an unknown observer', quantize('--observer', 'mes'), 'Allowed choices are auto, minmax'],
    ['an unknown target', quantize('--target', 'nowhere'), 'Allowed choices are onnxruntime'],
    ['an unknown preset', quantize('--preset', 'imagnet'), 'Allowed choices are imagenet'],
    ['an unknown stage', quantize('--stop-after', 'calibrate'), 'Allowed choices are plan'],
    ['no samples', quantize('--samples', '0'), 'whole number from 1 up'],
    ['half a sample', quantize('--samples', '1.5'), 'whole number from 1 up'],
    ['a mean that is no number', quantize('--mean', '0.5,x'), 'must be a number'],
    ['a missing model', ['inspect'], "missing required argument 'model'"],
    ['a missing output', ['quantize', model, '--data', data], "required option '-o, --output <path>'"],
    ['a missing node', ['why', model], "required option '--node <name>'"],
  ]

  it.each(cases)('%s', async (_, args, says) => {
    const outcome = await fewbit(...args)
    expect(outcome).toMatchObject({ code: 2, out: '' })
    expect(outcome.err).toContain(says)
    expect(outcome.err).toContain('--help')
  })
})

describe('words that only the verbs can judge', () => {
  const cases: [string, string[], string, string][] = [
    ['an unknown scheme', quantize('--scheme', 'w9a9'), 'SCHEME_UNKNOWN', 'w8a8'],
    ['an unknown metric', quantize('--eval-data', data, '--metric', 'top2'), 'METRIC_UNKNOWN', 'top1'],
    ['a metric without data', quantize('--metric', 'top1'), 'EVAL_DATA_MISSING', '--eval-data'],
    [
      'a metric without a model to compare with',
      ['evaluate', 'MODEL', '--data', 'DATA', '--metric', 'sqnr'],
      'EVALUATE_AGAINST',
      '--against',
    ],
    ['an override without a colon', quantize('--override', 'fc'), 'OVERRIDE_SYNTAX', 'name=/^fc/:float'],
    [
      'an override by something else',
      quantize('--override', 'type=Conv:float'),
      'OVERRIDE_SYNTAX',
      'name, op, from or to',
    ],
    [
      'an override with a broken pattern',
      quantize('--override', 'name=/(/:float'),
      'OVERRIDE_SYNTAX',
      'regular expression',
    ],
    [
      'an override to an unknown observer',
      quantize('--override', 'op=Conv:observer=foo'),
      'OPTION_INVALID',
      'choose one of minmax',
    ],
    ['a size of nothing', quantize('--resize', '0'), 'DATA_OPTION', '224x320'],
    ['an unknown pass', ['optimize', 'MODEL', '-o', 'OUT', '--passes', 'fold'], 'PASS_UNKNOWN', 'fold-batchnorm'],
    ['an unknown node', ['why', 'MODEL', '--node', 'conv9'], 'NODE_UNKNOWN', '"conv1"'],
  ]
  const paths: Record<string, string> = { MODEL: model, DATA: data, OUT: work.at('out.onnx') }

  it.each(cases)('%s', async (_, args, code, says) => {
    const { err } = await failsCleanly(
      work,
      code,
      code === 'NODE_UNKNOWN' ? 1 : 2,
      args.map((arg) => paths[arg] ?? arg),
    )
    expect(err).toContain(says)
  })
})

it('warns of an override that matches nothing, and works on', async () => {
  const plan = work.at('plan.json')
  const { code, out } = await fewbit(
    'quantize',
    model,
    '--override',
    'name=conv9:float',
    '--stop-after',
    'plan',
    '-o',
    plan,
  )
  expect(code).toBe(0)
  expect(out).toContain('warning OVERRIDE_UNMATCHED')
})

it('takes nodes to leave in float from a list, and refuses what is no list', async () => {
  const plan = work.at('listed.json')
  const planned = (list: string) =>
    fewbit(
      'quantize',
      model,
      '--float-nodes',
      work.put('names.txt', Buffer.from(list)),
      '--stop-after',
      'plan',
      '-o',
      plan,
    )
  expect((await planned('["nobody"]')).out).toContain('warning OVERRIDE_UNMATCHED')
  expect((await planned('nobody\n\nneither\n')).out).toContain('no node is called "neither"')
  expect(await planned('["nobody"')).toMatchObject({ code: 2, err: expect.stringContaining('FLOAT_NODES') })
})

describe('under --json a failure is a document too', () => {
  const cases: [string, string[], number, string][] = [
    ['of the verb', ['inspect', 'nope.onnx', '--json'], 1, 'FILE_MISSING'],
    ['of the command line', ['inspect', '--josn', '--json'], 2, 'USAGE'],
  ]
  it.each(cases)('%s', async (_, args, exit, code) => {
    const outcome = await fewbit(...args)
    expect(outcome.code).toBe(exit)
    const document = JSON.parse(outcome.out) as { error: boolean; diagnostics: { code: string; message: string }[] }
    expect(document).toMatchObject({ error: true, diagnostics: [{ code }] })
    expect(outcome.err).toContain(document.diagnostics[0]?.message)
  })
})
