package org.prunepeft;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.Schema;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.PostNormEncoder;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.run.ParameterFile;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.train.head.Head;

/**
 * What a run of full fine-tuning with LoRA on the queries has trained, each file of which is read
 * as where a run is loaded: the encoder's own weights, the modules' and the head's.
 */
public final class RunWeights {
  private final Map<String, List<FlatParameters>> groups = new HashMap<>();

  /**
   * Of an encoder without a decoder's parts.
   *
   * @param config of the encoder
   * @param weights with which it begins; may be closed afterwards
   */
  public RunWeights(EncoderConfig config, Checkpoint weights) throws IOException {
    PeftConfig peft = PeftConfig.of(LoraConfig.of(2, 4, 0, List.of("query")), null);
    PeftModules modules = new PeftModules(peft, config, peft.space(config).candidates());
    Head head = new Head(Schema.classification(List.of("a", "b")), config.hidden());
    groups.put(RunFiles.ENCODER, List.of(new PostNormEncoder(config, weights).trainable()));
    groups.put(RunFiles.ADAPTER, new ArrayList<>(modules.groups().values()));
    groups.put(RunFiles.HEAD, List.of(head.parameters()));
  }

  /**
   * Reads a file of weights, which take the place of those that were there.
   *
   * @param file with a name of a run's
   * @throws RuntimeException if it is damaged, does not fit or holds a NaN
   */
  public void read(Path file) {
    ParameterFile.read(file, groups.get(file.getFileName().toString()));
  }
}
