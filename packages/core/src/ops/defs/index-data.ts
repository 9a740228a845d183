import type { OpDef } from '../define-op.ts'
import { BitCast, Cast, CastLike } from './Cast.ts'
import { Concat } from './Concat.ts'
import { Constant } from './Constant.ts'
import { ConstantOfShape } from './ConstantOfShape.ts'
import * as controlFlow from './control-flow.ts'
import { DequantizeLinear } from './DequantizeLinear.ts'
import { DynamicQuantizeLinear } from './DynamicQuantizeLinear.ts'
import { Expand } from './Expand.ts'
import { Flatten } from './Flatten.ts'
import * as filling from './filling.ts'
import { Gather, GatherElements } from './Gather.ts'
import { GatherND } from './GatherND.ts'
import * as losses from './losses.ts'
import * as attention from './microsoft/attention.ts'
import { NhwcConv, NhwcMaxPool } from './microsoft/channels-last.ts'
import * as fused from './microsoft/fused.ts'
import * as msNormalization from './microsoft/normalization.ts'
import * as qlinear from './microsoft/qlinear.ts'
import * as weightOnly from './microsoft/weight-only.ts'
import { OneHot } from './OneHot.ts'
import { FakeQuantize } from './openvino/FakeQuantize.ts'
import { Pad } from './Pad.ts'
import { QLinearConv } from './QLinearConv.ts'
import { QLinearMatMul } from './QLinearMatMul.ts'
import { QuantizeLinear } from './QuantizeLinear.ts'
import { Range } from './Range.ts'
import { Reshape } from './Reshape.ts'
import * as random from './random.ts'
import { GRU, LSTM, RNN } from './recurrent.ts'
import * as scatter from './Scatter.ts'
import { Shape, Size } from './Shape.ts'
import { Slice } from './Slice.ts'
import { Split } from './Split.ts'
import { Squeeze } from './Squeeze.ts'
import * as selection from './selection.ts'
import * as sequences from './sequences.ts'
import { Tile } from './Tile.ts'
import { Transpose } from './Transpose.ts'
import * as text from './text.ts'
import { Unsqueeze } from './Unsqueeze.ts'

/** Shapes, data movement, control flow, recurrent, quantization, com.microsoft and org.openvinotoolkit operators. */
export const DATA_OPS: readonly OpDef[] = [
  Reshape,
  Flatten,
  Transpose,
  Squeeze,
  Unsqueeze,
  Concat,
  Split,
  Slice,
  Gather,
  GatherElements,
  GatherND,
  ...Object.values(scatter),
  Pad,
  Tile,
  Expand,
  Shape,
  Size,
  Constant,
  ConstantOfShape,
  Range,
  Cast,
  CastLike,
  BitCast,
  OneHot,
  ...Object.values(filling),
  ...Object.values(selection),
  ...Object.values(random),
  ...Object.values(controlFlow),
  ...Object.values(sequences),
  LSTM,
  GRU,
  RNN,
  ...Object.values(text),
  ...Object.values(losses),
  QuantizeLinear,
  DequantizeLinear,
  DynamicQuantizeLinear,
  QLinearConv,
  QLinearMatMul,
  ...Object.values(qlinear),
  NhwcMaxPool,
  NhwcConv,
  ...Object.values(fused),
  ...Object.values(msNormalization),
  ...Object.values(attention),
  ...Object.values(weightOnly),
  FakeQuantize,
]
