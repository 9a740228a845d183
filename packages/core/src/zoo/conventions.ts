import { constant, heFanIn, heFanOut, heTruncated, normal, torchDefault, uniformByOutputs } from './initialization.ts'
import type { Conventions } from './network-writer.ts'

const TORCH = { epsilon: 1e-5, momentum: 0.9 }

/** torchvision's ResNet: He by fan-out, PyTorch's default in the head. */
export const TORCHVISION: Conventions = {
  ...TORCH,
  convWeight: heFanOut,
  linearWeight: torchDefault,
  bias: torchDefault,
}

/** torchvision's mobile networks and RegNet: a head of small numbers. */
export const TORCHVISION_MOBILE: Conventions = { ...TORCHVISION, linearWeight: normal(0.01), bias: constant(0) }

/** He et al. 2015, for CIFAR: by fan-in everywhere. */
export const HE: Conventions = { ...TORCH, convWeight: heFanIn, linearWeight: heFanIn, bias: constant(0) }

/** TensorFlow's EfficientNet and timm after it; convolutions give their groups. */
export const EFFICIENTNET: Conventions = { ...TORCHVISION, linearWeight: uniformByOutputs, bias: constant(0) }

/** Keras, with the `he_normal` that MLPerf Tiny's picture networks ask for. */
export const KERAS: Conventions = {
  epsilon: 1e-3,
  momentum: 0.99,
  convWeight: heTruncated,
  linearWeight: heTruncated,
  bias: constant(0),
}
