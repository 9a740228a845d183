import { describe, expect, it } from 'vitest'
import { differentiate } from '../autodiff/index.ts'
import { GraphBuilder, type Model } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { must } from '../util/index.ts'
import { buildZooModel, ZOO, type ZooName, zooName } from './index.ts'

const names = Object.keys(ZOO) as ZooName[]

const parameter = (model: Model, name: string): Float32Array => {
  const value = [...model.graph.initializers].find((v) => v.name === name)
  return must(value?.constant, name).numbers() as Float32Array
}

const moments = (values: Float32Array) => {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length
  return { mean, std: Math.sqrt(variance), largest: values.reduce((most, v) => Math.max(most, Math.abs(v)), 0) }
}

describe('building', () => {
  it('draws the same weights from the same seed, and others from another', () => {
    const weights = [1, 1, 2].map((seed) => parameter(buildZooModel('resnet8', { seed }), 'layer2.0.conv1.weight'))
    expect(weights[1]).toEqual(weights[0])
    expect(weights[2]).not.toEqual(weights[0])
  })

  it('draws a layer by its name, whatever else the network has', () => {
    const [short, long] = [buildZooModel('resnet8'), buildZooModel('resnet20')]
    expect(parameter(short, 'layer3.0.conv2.weight')).toEqual(parameter(long, 'layer3.0.conv2.weight'))
    expect(parameter(long, 'layer1.0.conv1.weight')).not.toEqual(parameter(long, 'layer1.1.conv1.weight'))
  })

  it('takes the number of classes and the batch', () => {
    const model = buildZooModel('mobilenet-v2', { classes: 7, batch: 4 })
    expect(parameter(model, 'classifier.1.weight').length).toBe(7 * 1280)
    expect(model.graph.inputs[0]?.type).toMatchObject({ shape: [4, 3, 224, 224] })
    expect(model.graph.outputs[0]?.type).toMatchObject({ shape: [4, 7] })
    expect(JSON.parse(must(model.metadata.get('fewbit.zoo'), 'metadata'))).toEqual({
      name: 'mobilenet-v2',
      classes: 7,
      seed: 0,
      preset: 'imagenet',
    })
  })

  it.each([
    ['resnet20', 'resnet20'],
    ['ResNet-20', 'resnet20'],
    ['mobilenetv2', 'mobilenet-v2'],
    ['MobileNet_V2_CIFAR', 'mobilenet-v2-cifar'],
    ['mobilenetv3', undefined],
    ['', undefined],
  ])('knows the network that "%s" means', (text, name) => expect(zooName(text)).toBe(name))

  it.each(names)('%s can be differentiated by every parameter', (name) => {
    const model = buildZooModel(name, { batch: 2 })
    const b = new GraphBuilder(model.graph)
    const loss = b.op('ReduceSum', [must(model.graph.outputs[0], 'logits')], {}, { output: 'loss' })
    const sum = b.op('Squeeze', [loss])
    const float = [...model.graph.initializers].filter(({ constant }) => {
      return constant?.dtype === 'float32' && constant.dims.length > 0
    })
    const by = float.map((v) => v.name).filter((n) => !/running/.test(n))
    const { gradients } = differentiate(model, { ops: defaultOps, loss: sum.name, by })
    expect(gradients.size).toBe(by.length)
  })
})

describe('initialization', () => {
  it('follows He by fan-out in torchvision’s ResNet, and PyTorch’s own default in its head', () => {
    const model = buildZooModel('resnet18')
    const { mean, std } = moments(parameter(model, 'layer3.0.conv2.weight'))
    // kaiming_normal_(mode='fan_out'): √(2 / (256·9)), from 589,824 samples.
    expect(std / Math.sqrt(2 / (256 * 9))).toBeCloseTo(1, 2)
    expect(Math.abs(mean)).toBeLessThan(1e-3)
    const head = moments(parameter(model, 'fc.weight'))
    expect(head.largest).toBeCloseTo(1 / Math.sqrt(512), 4)
    expect(head.std).toBeCloseTo(1 / Math.sqrt(3 * 512), 4)
    expect([...parameter(model, 'bn1.weight').slice(0, 2)]).toEqual([1, 1])
    expect([...parameter(model, 'bn1.running_var').slice(0, 2)]).toEqual([1, 1])
    expect([...parameter(model, 'bn1.bias').slice(0, 2)]).toEqual([0, 0])
  })

  it('cuts normal distributions at two standard deviations, in Keras so that the variance stays', () => {
    const vit = moments(parameter(buildZooModel('vit-cifar'), 'blocks.0.mlp.fc1.weight'))
    expect(vit.largest).toBeLessThanOrEqual(Math.fround(0.04))
    expect(vit.std / (0.02 * 0.87962566)).toBeCloseTo(1, 1)
    const keras = moments(parameter(buildZooModel('resnet8-mlperf'), 'layer3.0.conv2.weight'))
    expect(keras.std / Math.sqrt(2 / (64 * 9))).toBeCloseTo(1, 1)
    expect(keras.largest).toBeLessThan((2 / 0.8796) * Math.sqrt(2 / (64 * 9)))
  })
})

describe('options', () => {
  it.each([
    [{ classes: 0 }, /ZOO_OPTION {2}classes is 0/],
    [{ classes: 2.5 }, /ZOO_OPTION/],
    [{ seed: Number.NaN }, /ZOO_OPTION {2}seed/],
    [{ batch: -1 }, /ZOO_OPTION {2}batch/],
  ])('%j is refused', (options, message) => {
    expect(() => buildZooModel('resnet8', options)).toThrow(message)
  })

  it('an unknown network is refused with the nearest names', () => {
    expect(() => buildZooModel('resnet81' as ZooName)).toThrow(/ZOO_UNKNOWN[\s\S]*did you mean resnet8/)
    expect(() => buildZooModel('toString' as ZooName)).toThrow(/ZOO_UNKNOWN/)
  })
})
