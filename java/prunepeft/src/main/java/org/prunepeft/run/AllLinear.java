package org.prunepeft.run;

import java.util.List;
import java.util.Map;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;

/** Plain LoRA on all linear layers in place of a supernet, as large as a budget lets it be. */
public final class AllLinear {
  private AllLinear() {}

  /**
   * {@return the setup with what suits the model; LoRA on all linear layers in place of its
   * supernet, where that is the choice}
   *
   * @throws IllegalArgumentException as {@link #within} does
   */
  public static Setup on(Setup setup, ModuleChoice choice, EncoderConfig model) {
    return choice.kind() == ModuleChoice.Kind.ALL_LINEAR
        ? within(setup, choice.budget(), model)
        : setup.on(model);
  }

  /**
   * {@return a setup whose modules are LoRA on every projection of every layer, of the highest rank
   * within the budget} Scale, dropout and rsLoRA are those of the setup's LoRA.
   *
   * @param setup whose supernet the budget is a share of
   * @param budget trainable parameters at most
   * @param model that gets them
   * @throws IllegalArgumentException if rank 1 has more parameters than the budget
   */
  static Setup within(Setup setup, Budget budget, EncoderConfig model) {
    long most = budget.of(parameters(setup.on(model), model));
    LoraConfig own = setup.lora() == null ? LoraConfig.DEFAULT : setup.lora();
    LoraConfig one =
        LoraConfig.builder()
            .rank(1)
            .alpha(own.alpha() / own.rank())
            .dropout(own.dropout())
            .rsLora(own.rsLora())
            .targets(List.of(LoraConfig.ALL))
            // Nothing is chosen among them.
            .perProjection(false)
            .build()
            .on(model);
    Setup alone =
        setup.with().lora(one).adapter(null).modules(List.of()).moduleSettings(Map.of()).build();
    long each = parameters(alone, model);
    if (most < each) {
      throw new IllegalArgumentException(
          "LoRA of rank 1 on all linear layers has %d parameters, more than the budget of %d; raise the budget"
              .formatted(each, most));
    }
    int rank = Math.toIntExact(most / each);
    double alpha = own.rsLora() ? own.alpha() : own.alpha() / own.rank() * rank;
    return alone.withLora(one.with().rank(rank).alpha(alpha).build());
  }

  private static long parameters(Setup setup, EncoderConfig model) {
    return setup.peft().space(model).totalParameters();
  }
}
