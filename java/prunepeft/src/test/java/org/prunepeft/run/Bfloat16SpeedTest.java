package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.kernels.Isa;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.model.Precision;
import org.prunepeft.torch.Torch;

class Bfloat16SpeedTest {
  @AfterEach
  void reset() {
    Kernels.setIsa(Kernels.supportedIsa());
  }

  @Test
  void slowProcessorsSaySoWithTheFactor() {
    Torch.load();
    Kernels.setIsa(Isa.PORTABLE);
    String warning = Bfloat16Speed.warning(Precision.BF16).orElseThrow();
    assertTrue(
        warning.matches(".*no instructions for it.* take [0-9]+\\.[0-9] times as long.*"), warning);
    assertEquals(Optional.empty(), Bfloat16Speed.warning(Precision.FLOAT32));
  }

  @Test
  void fastOnesSayNothing() {
    Torch.load();
    if (Kernels.supportedIsa().compareTo(Isa.AVX512_BF16) >= 0) {
      assertEquals(Optional.empty(), Bfloat16Speed.warning(Precision.BF16));
    }
  }
}
