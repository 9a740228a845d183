import { GraphBuilder, Model, tensorType } from '@fewbit/core/ir'
import type { Rng } from '@fewbit/core/util'
import { BatchNorm } from './batch-norm.ts'
import { Branches, Residual, Sequence } from './combine.ts'
import { Conv } from './conv.ts'
import { DepthwiseConv } from './depthwise-conv.ts'
import type { Layer } from './layer.ts'
import { Classifier, MaxPool, Relu } from './pointwise-layers.ts'

const POINT = { kernel: 1, stride: 1, pad: 0 }

/** A depthwise-separable block (Howard et al. 2017, arXiv:1704.04861): what mobile networks are made of. */
export function separable(name: string, inputs: number, outputs: number, stride: number, random: Rng): Layer[] {
  return [
    new DepthwiseConv(`${name}.depthwise`, inputs, stride, random),
    new BatchNorm(`${name}.norm1`, inputs),
    new Relu(`${name}.relu1`),
    new Conv(`${name}.pointwise`, inputs, outputs, POINT, random),
    new BatchNorm(`${name}.norm2`, outputs),
    new Relu(`${name}.relu2`),
  ]
}

const projection = (name: string, inputs: number, outputs: number, random: Rng): Layer[] => [
  new Conv(`${name}.pointwise`, inputs, outputs, POINT, random),
  new BatchNorm(`${name}.norm`, outputs),
  new Relu(`${name}.relu`),
]

/** 32 × 32 pictures: 16 × 16, pooled to 8 × 8, then 4 × 4. */
export function demoNetwork(classes: number, random: Rng): Sequence {
  return new Sequence([
    new Conv('stem.conv', 3, 16, { kernel: 3, stride: 2, pad: 1 }, random),
    new BatchNorm('stem.norm', 16),
    new Relu('stem.relu'),
    ...separable('block1', 16, 32, 1, random),
    new MaxPool('block1.pool'),
    new Residual('block2.add', new Sequence(separable('block2', 32, 32, 1, random))),
    new Branches(
      'block3.concat',
      new Sequence(separable('block3', 32, 48, 1, random)),
      new Sequence(projection('block3.side', 32, 16, random)),
    ),
    ...separable('block4', 64, 128, 2, random),
    new Residual('block5.add', new Sequence(separable('block5', 128, 128, 1, random))),
    new Classifier(128, classes, random),
  ])
}

/** The network as ONNX, as trainers export it: BatchNormalization unfolded, any batch size. */
export function toModel(network: Sequence, classes: number, side: number): Model {
  const model = new Model()
  model.opsets.set('', 17)
  model.irVersion = 8
  model.producerName = 'fewbit make-demo'
  model.graph.name = 'demo'
  const b = new GraphBuilder(model.graph)
  const picture = b.input('picture', tensorType('float32', ['N', 3, side, side]))
  const scores = network.emit(b, picture)
  scores.type = tensorType('float32', ['N', classes])
  b.output(scores)
  return model
}
