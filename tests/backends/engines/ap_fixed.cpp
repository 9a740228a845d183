// Sums of codes to codes in the fixed-point types of Xilinx' HLS compilers: a shift to the right, rounded by the type of the result,
// which saturates. Reads int64 from a file: for each sum its value, its shift and the zero point of the result.
#include <ap_fixed.h>

#include <cstdint>
#include <cstdio>
#include <vector>

// 24 digits behind the point hold what a shift by up to 24 pushes there.
typedef ap_fixed<72, 48> wide;

template <ap_q_mode Q>
int64_t code(int64_t sum, int shift, int64_t zero) {
  wide value = sum;
  value >>= shift;
  ap_fixed<48, 48, Q, AP_SAT> rounded = value;
  ap_fixed<8, 8, AP_TRN, AP_SAT> result = rounded + zero;
  return result.to_int64();
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const char mode = argv[2][0];
  FILE* file = fopen(argv[1], "rb");
  int64_t row[3];
  while (fread(row, sizeof row, 1, file) == 1) {
    const int shift = static_cast<int>(row[1]);
    const int64_t result = mode == 'u'   ? code<AP_RND>(row[0], shift, row[2])
                           : mode == 'e' ? code<AP_RND_CONV>(row[0], shift, row[2])
                           : mode == 'a' ? code<AP_RND_INF>(row[0], shift, row[2])
                                         : code<AP_TRN>(row[0], shift, row[2]);
    printf("%lld\n", static_cast<long long>(result));
  }
  return 0;
}
