package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.Setup;

class AllLinearTest {
  @Test
  void ofADecoderToo_oneModuleALayer() {
    EncoderConfig model = DecoderFamilies.all().findFirst().orElseThrow().config();
    Setup setup = Setup.builder().build();
    LoraConfig lora = AllLinear.within(setup, Budget.share(0.5), model).lora();
    SearchSpace space = PeftConfig.of(lora, null).space(model);
    assertEquals(model.layers(), space.candidates().size());
    assertEquals(model.projections().size(), lora.targets().size());
    assertTrue(
        2 * space.totalParameters() <= setup.on(model).peft().space(model).totalParameters());
  }
}
