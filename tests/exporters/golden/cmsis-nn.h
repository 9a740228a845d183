/* net: layers for the int8 functions of CMSIS-NN, in order. Images are NHWC. Written by fewbit. */
#ifndef NET_H
#define NET_H

#include "arm_nn_types.h"

/* tensor 0, input: image [1, 4, 4, 2] */
#define net_tensor_0_size (32)
#define net_tensor_0_scale (0.019607844f)
#define net_tensor_0_zero_point (-26)
/* tensor 3: r1 [1, 4, 4, 4] */
#define net_tensor_3_size (64)
#define net_tensor_3_scale (0.011764706f)
#define net_tensor_3_zero_point (-128)
/* tensor 4: m1 [1, 2, 2, 4] */
#define net_tensor_4_size (16)
#define net_tensor_4_scale (0.011764706f)
#define net_tensor_4_zero_point (-128)
/* tensor 7: c2 [1, 2, 2, 4] */
#define net_tensor_7_size (16)
#define net_tensor_7_scale (0.019607844f)
#define net_tensor_7_zero_point (-26)
/* tensor 8: f [1, 16] */
#define net_tensor_8_size (16)
#define net_tensor_8_scale (0.019607844f)
#define net_tensor_8_zero_point (-26)
/* tensor 10, output: logits [1, 3] */
#define net_tensor_10_size (3)
#define net_tensor_10_scale (0.019607844f)
#define net_tensor_10_zero_point (-26)

/* layer 0: CONV_2D, arm_convolve_wrapper_s8; tensor 0 to 3 */
static const int8_t net_0_weights[8] = {
  -85, 127, 127, -127, 127, 64, 0, -127
};
static const int32_t net_0_bias[4] = {
  -4318, 19431, 1619, -3238
};
static int32_t net_0_multiplier[4] = {
  1352745621, 1803660829, 1352745621, 1803660829
};
static int32_t net_0_shift[4] = {
  -6, -7, -4, -5
};
static const cmsis_nn_conv_params net_0_params = { .input_offset = 26, .output_offset = -128, .stride = { .w = 1, .h = 1 }, .padding = { .w = 0, .h = 0 }, .dilation = { .w = 1, .h = 1 }, .activation = { .min = -128, .max = 127 } };
static const cmsis_nn_per_channel_quant_params net_0_quant = { .multiplier = net_0_multiplier, .shift = net_0_shift };
static const cmsis_nn_dims net_0_input_dims = { .n = 1, .h = 4, .w = 4, .c = 2 };
static const cmsis_nn_dims net_0_filter_dims = { .n = 4, .h = 1, .w = 1, .c = 2 };
static const cmsis_nn_dims net_0_bias_dims = { .n = 1, .h = 1, .w = 1, .c = 4 };
static const cmsis_nn_dims net_0_output_dims = { .n = 1, .h = 4, .w = 4, .c = 4 };

/* layer 1: MAX_POOL_2D, arm_max_pool_s8; tensor 3 to 4 */
static const cmsis_nn_pool_params net_1_params = { .stride = { .w = 2, .h = 2 }, .padding = { .w = 0, .h = 0 }, .activation = { .min = -128, .max = 127 } };
static const cmsis_nn_dims net_1_input_dims = { .n = 1, .h = 4, .w = 4, .c = 4 };
static const cmsis_nn_dims net_1_filter_dims = { .n = 1, .h = 2, .w = 2, .c = 1 };
static const cmsis_nn_dims net_1_output_dims = { .n = 1, .h = 2, .w = 2, .c = 4 };

/* layer 2: DEPTHWISE_CONV_2D, arm_depthwise_conv_wrapper_s8; tensor 4 to 7 */
static const int8_t net_2_weights[36] = {
  -64, 32, 127, 0, 95, -32, 64, -64, 32, 127, 0, 95, -32, 64, -64, 32, 127, 0, 95, -32, 64, -64, 32, 127,
  0, 95, -32, 64, -64, 32, 127, 0, 95, -32, 64, -64
};
static const int32_t net_2_bias[4] = {
  0, 0, 0, 0
};
static int32_t net_2_multiplier[4] = {
  1298635755, 1298635755, 1947953633, 1298635755
};
static int32_t net_2_shift[4] = {
  -7, -6, -6, -5
};
static const cmsis_nn_dw_conv_params net_2_params = { .input_offset = 128, .output_offset = -26, .ch_mult = 1, .stride = { .w = 1, .h = 1 }, .padding = { .w = 1, .h = 1 }, .dilation = { .w = 1, .h = 1 }, .activation = { .min = -128, .max = 127 } };
static const cmsis_nn_per_channel_quant_params net_2_quant = { .multiplier = net_2_multiplier, .shift = net_2_shift };
static const cmsis_nn_dims net_2_input_dims = { .n = 1, .h = 2, .w = 2, .c = 4 };
static const cmsis_nn_dims net_2_filter_dims = { .n = 1, .h = 3, .w = 3, .c = 4 };
static const cmsis_nn_dims net_2_bias_dims = { .n = 1, .h = 1, .w = 1, .c = 4 };
static const cmsis_nn_dims net_2_output_dims = { .n = 1, .h = 2, .w = 2, .c = 4 };

/* layer 3: RESHAPE, none: the same bytes under another shape; tensor 7 to 8 */

/* layer 4: FULLY_CONNECTED, arm_fully_connected_wrapper_s8; tensor 8 to 10 */
static const int8_t net_4_weights[48] = {
  -21, 42, 32, 21, 32, 21, 11, 0, 11, 0, -11, -21, -11, -21, 42, 32, 21, 0, -21, -42, -21, -42, 85, 64,
  85, 64, 42, 21, 42, 21, 0, -21, 127, 95, 64, 32, 64, 32, 0, -32, 0, -32, -64, 127, -64, 127, 95, 64
};
static const int32_t net_4_bias[3] = {
  -1080, 3238, 1619
};
static int32_t net_4_multiplier[1] = {
  1623294720
};
static int32_t net_4_shift[1] = {
  -5
};
static const cmsis_nn_fc_params net_4_params = { .input_offset = 26, .filter_offset = 0, .output_offset = -26, .activation = { .min = -128, .max = 127 } };
static const cmsis_nn_quant_params net_4_quant = { .multiplier = net_4_multiplier, .shift = net_4_shift, .is_per_channel = 0 };
static const cmsis_nn_dims net_4_input_dims = { .n = 1, .h = 1, .w = 1, .c = 16 };
static const cmsis_nn_dims net_4_filter_dims = { .n = 16, .h = 1, .w = 1, .c = 3 };
static const cmsis_nn_dims net_4_bias_dims = { .n = 1, .h = 1, .w = 1, .c = 3 };
static const cmsis_nn_dims net_4_output_dims = { .n = 1, .h = 1, .w = 1, .c = 3 };

#endif
