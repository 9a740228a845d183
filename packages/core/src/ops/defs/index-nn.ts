import type { OpDef } from '../define-op.ts'
import { AffineGrid } from './AffineGrid.ts'
import { Attention } from './Attention.ts'
import { AveragePool } from './AveragePool.ts'
import { BatchNormalization } from './BatchNormalization.ts'
import { CenterCropPad } from './CenterCropPad.ts'
import { Clip } from './Clip.ts'
import { Col2Im } from './Col2Im.ts'
import { Conv } from './Conv.ts'
import { ConvInteger } from './ConvInteger.ts'
import { ConvTranspose } from './ConvTranspose.ts'
import { CumSum } from './CumSum.ts'
import { DeformConv } from './DeformConv.ts'
import { Dropout } from './Dropout.ts'
import { Einsum } from './Einsum.ts'
import { ARITHMETIC, BINARY_LOGIC } from './elementwise-binary.ts'
import { ACTIVATIONS, UNARY_LOGIC, UNARY_MATH } from './elementwise-unary.ts'
import { Gemm } from './Gemm.ts'
import { GridSample } from './GridSample.ts'
import { GlobalAveragePool, GlobalLpPool, GlobalMaxPool } from './global-pooling.ts'
import { Identity } from './Identity.ts'
import { LpPool } from './LpPool.ts'
import { MatMul } from './MatMul.ts'
import { MatMulInteger } from './MatMulInteger.ts'
import { MaxPool } from './MaxPool.ts'
import { MaxUnpool } from './MaxUnpool.ts'
import * as normalization from './normalization.ts'
import { PRelu } from './PRelu.ts'
import { Resize } from './Resize.ts'
import { RotaryEmbedding } from './RotaryEmbedding.ts'
import { ARG_REDUCTIONS, REDUCTIONS } from './reductions.ts'
import { MaxRoiPool, RoiAlign } from './regions.ts'
import * as signal from './signal.ts'
import { Hardmax, LogSoftmax, Softmax } from './softmax.ts'
import { DepthToSpace, SpaceToDepth } from './space-depth.ts'
import { TopK } from './TopK.ts'
import { Upsample } from './Upsample.ts'
import { Where } from './Where.ts'

/** Network arithmetic: convolutions, products, pooling, normalization, activations, elementwise, reductions, signals. */
export const NN_OPS: readonly OpDef[] = [
  Conv,
  ConvTranspose,
  ConvInteger,
  DeformConv,
  Gemm,
  MatMul,
  MatMulInteger,
  Einsum,
  MaxPool,
  AveragePool,
  LpPool,
  GlobalAveragePool,
  GlobalMaxPool,
  GlobalLpPool,
  MaxUnpool,
  MaxRoiPool,
  RoiAlign,
  BatchNormalization,
  ...Object.values(normalization),
  Dropout,
  Softmax,
  LogSoftmax,
  Hardmax,
  ...ACTIVATIONS,
  PRelu,
  Clip,
  ...UNARY_MATH,
  ...UNARY_LOGIC,
  Identity,
  ...ARITHMETIC,
  ...BINARY_LOGIC,
  Where,
  ...REDUCTIONS,
  ...ARG_REDUCTIONS,
  CumSum,
  TopK,
  Resize,
  Upsample,
  GridSample,
  AffineGrid,
  SpaceToDepth,
  DepthToSpace,
  Attention,
  RotaryEmbedding,
  ...Object.values(signal),
  CenterCropPad,
  Col2Im,
]
