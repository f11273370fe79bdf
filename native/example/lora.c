// A LoRA linear, forward and backward, by the C interface: y = x Wᵀ + s·x Aᵀ Bᵀ and the gradients by x, A and B.
#include <prunepeft/linear.h>
#include <stdio.h>
#include <stdlib.h>

static void check(pp_status status) {
  if (status != PP_OK) {
    fprintf(stderr, "%s\n", pp_last_error());
    exit(1);
  }
}

static pp_matrix matrix(float* data, int64_t rows, int64_t cols) {
  pp_matrix dense = {data, rows, cols, cols, PP_FLOAT32};
  return dense;
}

static void print(const char* name, const float* values, int count) {
  printf("%s", name);
  for (int i = 0; i < count; i++) printf(" %.1f", values[i]);
  printf("\n");
}

int main(void) {
  float weight[] = {1, 0, 0, 0, 1, 0};
  float a[] = {1, 1, 1};
  float b[] = {1, 2};
  float inputs[] = {1, 2, 3, 4, 5, 6};
  float gradient[] = {1, 1, 1, 1};
  float s[2], ds[2], da[3], db[2], outputs[4], input_gradient[6];
  const pp_matrix w = matrix(weight, 2, 3), x = matrix(inputs, 2, 3), y = matrix(outputs, 2, 2);
  const pp_matrix dy = matrix(gradient, 2, 2), dx = matrix(input_gradient, 2, 3);
  const pp_lora_module lora = {
      .a = matrix(a, 1, 3),
      .b = matrix(b, 2, 1),
      .rows = 2,
      .scale = 0.5f,
      .s = matrix(s, 2, 1),
      .ds = matrix(ds, 2, 1),
      .da = matrix(da, 1, 3),
      .db = matrix(db, 2, 1),
  };
  pp_context context = {.device = {.type = PP_CPU}};
  pp_linear* linear = NULL;
  check(pp_workspace_create(&context.device, &context.workspace));
  check(pp_linear_create(&context, &w, NULL, &linear));
  check(pp_linear_forward(&context, linear, &x, &lora, 1, &y));
  check(pp_lora_grad_up(&context, &dy, &lora, 1));
  check(pp_linear_grad_input(&context, linear, &dy, &lora, 1, &dx));
  check(pp_lora_grad_down(&context, &x, &lora, 1));
  print("y", outputs, 4);
  print("dX", input_gradient, 6);
  print("dA", da, 3);
  print("dB", db, 2);
  check(pp_linear_destroy(linear));
  check(pp_workspace_destroy(context.workspace));
  return 0;
}
