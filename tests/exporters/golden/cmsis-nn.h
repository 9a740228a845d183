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
#define net_tensor_3_scale (0.019607844f)
#define net_tensor_3_zero_point (-26)
/* tensor 4: m1 [1, 2, 2, 4] */
#define net_tensor_4_size (16)
#define net_tensor_4_scale (0.019607844f)
#define net_tensor_4_zero_point (-26)
/* tensor 7: c2 [1, 2, 2, 4] */
#define net_tensor_7_size (16)
#define net_tensor_7_scale (0.019607844f)
#define net_tensor_7_zero_point (-26)
/* tensor 8: c2_0123 [1, 4, 2, 2] */
#define net_tensor_8_size (16)
#define net_tensor_8_scale (0.019607844f)
#define net_tensor_8_zero_point (-26)
/* tensor 10: f [1, 16] */
#define net_tensor_10_size (16)
#define net_tensor_10_scale (0.019607844f)
#define net_tensor_10_zero_point (-26)
/* tensor 12, output: logits [1, 3] */
#define net_tensor_12_size (3)
#define net_tensor_12_scale (0.019607844f)
#define net_tensor_12_zero_point (-26)

/* layer 0: CONV_2D, arm_convolve_wrapper_s8; tensor 0 to 3 */
static const int8_t net_0_weights[8] = {
  -85, 127, 127, -127, 127, 64, 0, -127
};
static const int32_t net_0_bias[4] = {
  -4318, 19431, 1619, -3238
};
static int32_t net_0_multiplier[4] = {
  1623294720, 1082196480, 1623294720, 1082196480
};
static int32_t net_0_shift[4] = {
  -7, -7, -5, -5
};
static const cmsis_nn_conv_params net_0_params = { .input_offset = 26, .output_offset = -26, .stride = { .w = 1, .h = 1 }, .padding = { .w = 0, .h = 0 }, .dilation = { .w = 1, .h = 1 }, .activation = { .min = -26, .max = 127 } };
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
  1082196480, 1082196480, 1623294720, 1082196480
};
static int32_t net_2_shift[4] = {
  -6, -5, -5, -4
};
static const cmsis_nn_dw_conv_params net_2_params = { .input_offset = 26, .output_offset = -26, .ch_mult = 1, .stride = { .w = 1, .h = 1 }, .padding = { .w = 1, .h = 1 }, .dilation = { .w = 1, .h = 1 }, .activation = { .min = -128, .max = 127 } };
static const cmsis_nn_per_channel_quant_params net_2_quant = { .multiplier = net_2_multiplier, .shift = net_2_shift };
static const cmsis_nn_dims net_2_input_dims = { .n = 1, .h = 2, .w = 2, .c = 4 };
static const cmsis_nn_dims net_2_filter_dims = { .n = 1, .h = 3, .w = 3, .c = 4 };
static const cmsis_nn_dims net_2_bias_dims = { .n = 1, .h = 1, .w = 1, .c = 4 };
static const cmsis_nn_dims net_2_output_dims = { .n = 1, .h = 2, .w = 2, .c = 4 };

/* layer 3: TRANSPOSE, arm_transpose_s8; tensor 7 to 8 */
static const uint32_t net_3_permutations[4] = {
  0, 3, 1, 2
};
static const cmsis_nn_transpose_params net_3_params = { .num_dims = 4, .permutations = net_3_permutations };
static const cmsis_nn_dims net_3_input_dims = { .n = 1, .h = 2, .w = 2, .c = 4 };
static const cmsis_nn_dims net_3_output_dims = { .n = 1, .h = 4, .w = 2, .c = 2 };

/* layer 4: RESHAPE, none: the same bytes under another shape; tensor 8 to 10 */

/* layer 5: FULLY_CONNECTED, arm_fully_connected_wrapper_s8; tensor 10 to 12 */
static const int8_t net_5_weights[48] = {
  -21, 32, 11, -11, 42, 21, 0, -21, 32, 11, -11, 42, 21, 0, -21, 32, 21, -21, 85, 42, 0, -42, 64, 21,
  -21, 85, 42, 0, -42, 64, 21, -21, 127, 64, 0, -64, 95, 32, -32, 127, 64, 0, -64, 95, 32, -32, 127, 64
};
static const int32_t net_5_bias[3] = {
  -1080, 3238, 1619
};
static int32_t net_5_multiplier[1] = {
  1623294720
};
static int32_t net_5_shift[1] = {
  -5
};
static const cmsis_nn_fc_params net_5_params = { .input_offset = 26, .filter_offset = 0, .output_offset = -26, .activation = { .min = -128, .max = 127 } };
static const cmsis_nn_quant_params net_5_quant = { .multiplier = net_5_multiplier, .shift = net_5_shift, .is_per_channel = 0 };
static const cmsis_nn_dims net_5_input_dims = { .n = 1, .h = 1, .w = 1, .c = 16 };
static const cmsis_nn_dims net_5_filter_dims = { .n = 16, .h = 1, .w = 1, .c = 3 };
static const cmsis_nn_dims net_5_bias_dims = { .n = 1, .h = 1, .w = 1, .c = 3 };
static const cmsis_nn_dims net_5_output_dims = { .n = 1, .h = 1, .w = 1, .c = 3 };

#endif
