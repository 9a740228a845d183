import { DS_CNN } from './ds-cnn.ts'
import { EFFICIENTNET_LITE0 } from './efficientnet-lite.ts'
import type { ZooEntry } from './entry.ts'
import { MOBILENET_V1_VWW } from './mobilenet-v1.ts'
import { MOBILENET_V2, MOBILENET_V2_CIFAR } from './mobilenet-v2.ts'
import { REGNETX_600MF } from './regnet.ts'
import { RESNET18, RESNET50 } from './resnet.ts'
import { RESNET8, RESNET20, RESNET56 } from './resnet-cifar.ts'
import { RESNET8_MLPERF } from './resnet-tiny.ts'
import { DEIT_TINY, VIT_CIFAR } from './vit.ts'

/** Networks that are trained and quantized again and again, as graphs without trained weights. */
export const ZOO = {
  resnet8: RESNET8,
  resnet20: RESNET20,
  resnet56: RESNET56,
  'resnet8-mlperf': RESNET8_MLPERF,
  'mobilenet-v2-cifar': MOBILENET_V2_CIFAR,
  'vit-cifar': VIT_CIFAR,
  'ds-cnn': DS_CNN,
  'mobilenet-v1-vww': MOBILENET_V1_VWW,
  resnet18: RESNET18,
  resnet50: RESNET50,
  'mobilenet-v2': MOBILENET_V2,
  'efficientnet-lite0': EFFICIENTNET_LITE0,
  'regnetx-600mf': REGNETX_600MF,
  'deit-tiny': DEIT_TINY,
} as const satisfies Record<string, ZooEntry>

export type ZooName = keyof typeof ZOO
