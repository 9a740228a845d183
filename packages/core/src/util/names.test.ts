import { describe, expect, it } from 'vitest'
import { nearestNames, optionHint, wildcard } from './index.ts'

describe('nearestNames', () => {
  it('gives the nearest first, and none that is further than a third of the letters', () => {
    expect(nearestNames('resnet2', ['resnet56', 'resnet20', 'vit'])).toEqual(['resnet20', 'resnet56'])
    expect(nearestNames('conv', ['transformer.block.0.conv'])).toEqual([])
    expect(nearestNames('conv', ['transformer.block.0.conv'], { within: Infinity })).toHaveLength(1)
  })
})

describe('optionHint', () => {
  it.each([
    ['sample', 'did you mean "samples"?'],
    ['lr', 'known options: samples, seed'],
    ['foo', 'known options: samples, seed'],
  ])('%s: %s', (name, hint) => {
    expect(optionHint(name, ['samples', 'seed'])).toBe(hint)
  })
})

describe('wildcard', () => {
  it.each([
    ['layer*.weight', 'layer1.0.weight', true],
    ['layer*.weight', 'layer1.0.weight_v', false],
    ['a.b', 'axb', false],
    ['a(1)', 'a(1)', true],
    ['*', 'two\nlines', true],
  ])('%s fits %s: %s', (pattern, name, fits) => {
    expect(wildcard(pattern).test(name)).toBe(fits)
  })

  it('gives what each star stands for', () => {
    expect(wildcard('module.*.conv*').exec('module.layer1.conv2')?.slice(1)).toEqual(['layer1', '2'])
  })
})
