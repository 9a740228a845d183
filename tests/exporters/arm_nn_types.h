/* The types of CMSIS-NN that exported headers use, by their public names and fields, for a syntax check. */
#ifndef ARM_NN_TYPES_H
#define ARM_NN_TYPES_H
#include <stdint.h>
typedef struct { int32_t w; int32_t h; } cmsis_nn_tile;
typedef struct { int32_t n; int32_t h; int32_t w; int32_t c; } cmsis_nn_dims;
typedef struct { int32_t min; int32_t max; } cmsis_nn_activation;
typedef struct { int32_t *multiplier; int32_t *shift; } cmsis_nn_per_channel_quant_params;
typedef struct { int32_t *multiplier; int32_t *shift; int32_t is_per_channel; } cmsis_nn_quant_params;
typedef struct {
  int32_t input_offset; int32_t output_offset;
  cmsis_nn_tile stride; cmsis_nn_tile padding; cmsis_nn_tile dilation; cmsis_nn_activation activation;
} cmsis_nn_conv_params;
typedef struct {
  int32_t input_offset; int32_t output_offset; int32_t ch_mult;
  cmsis_nn_tile stride; cmsis_nn_tile padding; cmsis_nn_tile dilation; cmsis_nn_activation activation;
} cmsis_nn_dw_conv_params;
typedef struct { cmsis_nn_tile stride; cmsis_nn_tile padding; cmsis_nn_activation activation; } cmsis_nn_pool_params;
typedef struct { int32_t input_offset; int32_t filter_offset; int32_t output_offset; cmsis_nn_activation activation; } cmsis_nn_fc_params;
typedef struct { const int32_t num_dims; const uint32_t *permutations; } cmsis_nn_transpose_params;
#endif
