package org.prunepeft.peft.supernet;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.ModuleType.Parameter;
import org.prunepeft.peft.PeftModule;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.Slice;

/**
 * Modules cut into slices of their rank or bottleneck. A search treats each slice as a module. The
 * slices of a module that it keeps are together a smaller module.
 *
 * <p>A module of rank r does what n slices of rank r/n do together: B·A is the sum of their
 * products, an adapter's output that of their units'. What has no rank, such as an adapter's last
 * bias, goes with each slice, so that the parameters of a module's slices may add up to a little
 * more than its own.
 */
public final class Slices {
  private final PeftConfig config;
  private final EncoderConfig encoder;

  /** By their names, in the order of the space. */
  private final Map<String, Piece> slices = new LinkedHashMap<>();

  /** Slice `index` of `count` equal ones of a module. */
  private record Piece(Candidate module, int index, int count) {}

  /**
   * Cuts all modules of the supernet. One whose rank is smaller than the number of slices has a
   * slice for each of its ranks; one that has no rank is one slice, which has its own name.
   *
   * @param count slices of a module at most, 1 or more
   */
  public Slices(PeftConfig config, EncoderConfig encoder, int count) {
    this.config = config;
    this.encoder = encoder;
    for (Candidate module : config.space(encoder).candidates()) {
      int own = Math.toIntExact(Math.min(count, size(module)));
      for (int i = 0; i < own; i++) {
        slices.put(
            own == 1 ? module.name() : new Slice(module.name(), i).name(),
            new Piece(module, i, own));
      }
    }
  }

  /** The smallest rank in a module; 1 if it has none, or settings know no sizes of its kind. */
  private long size(Candidate module) {
    if (!List.of(Candidate.LORA, Candidate.ADAPTER).contains(module.type())) {
      return 1;
    }
    return parameters(module).stream()
        .filter(parameter -> parameter.inner() != Parameter.NONE)
        .mapToLong(parameter -> parameter.shape()[parameter.inner()])
        .min()
        .orElse(1);
  }

  private List<Parameter> parameters(Candidate module) {
    return type(module).parameters(encoder, module.layer());
  }

  private ModuleType type(Candidate module) {
    return config.typeOf(module);
  }

  /** {@return the names of the modules that have some of these slices} */
  public List<String> modules(Collection<String> chosen) {
    return Candidate.names(byModule(chosen).keySet());
  }

  /** {@return the slices as what a search chooses among} */
  public SearchSpace space() {
    List<Candidate> candidates = new ArrayList<>();
    slices.forEach(
        (name, slice) -> {
          Candidate module = slice.module;
          long parameters =
              parameters(module).stream()
                  .mapToLong(
                      parameter -> parameter.count() / extent(parameter) * length(parameter, slice))
                  .sum();
          candidates.add(new Candidate(name, module.layer(), module.type(), parameters));
        });
    return new SearchSpace(encoder.layers(), candidates);
  }

  private static long extent(Parameter parameter) {
    return parameter.inner() == Parameter.NONE ? 1 : parameter.shape()[parameter.inner()];
  }

  private static long start(Parameter parameter, int index, int count) {
    return extent(parameter) * index / count;
  }

  private static long length(Parameter parameter, Piece slice) {
    return parameter.inner() == Parameter.NONE
        ? 1
        : start(parameter, slice.index + 1, slice.count)
            - start(parameter, slice.index, slice.count);
  }

  /**
   * {@return the slices of each module that has some, in the supernet's order}
   *
   * @param names of slices
   * @throws IllegalArgumentException if there is no slice of a name
   */
  private Map<Candidate, List<Piece>> byModule(Collection<String> names) {
    for (String name : names) {
      if (!slices.containsKey(name)) {
        throw new IllegalArgumentException(
            "no slice is named '%s'; there are %s".formatted(name, slices.keySet()));
      }
    }
    Map<Candidate, List<Piece>> chosen = new LinkedHashMap<>();
    slices.forEach(
        (name, slice) -> {
          if (names.contains(name)) {
            chosen.computeIfAbsent(slice.module, module -> new ArrayList<>()).add(slice);
          }
        });
    return chosen;
  }

  /** Orders what each module's slices are cut of by what it does; see {@link ModuleType#order}. */
  void order(Map<String, List<Tensor>> weights) {
    slices.values().stream()
        .filter(slice -> slice.count > 1 && slice.index == 0)
        .map(Piece::module)
        .forEach(module -> type(module).order(encoder, module.layer(), weights.get(module.name())));
  }

  /**
   * Modules that compute what some slices do.
   *
   * @param chosen slices
   * @param whole the whole modules, by layer and by name
   * @param weights of the whole modules, by name
   * @return by layer and by name
   */
  Map<Integer, Map<String, PeftModule>> modules(
      Collection<Candidate> chosen,
      Map<Integer, Map<String, PeftModule>> whole,
      Map<String, List<Tensor>> weights) {
    Map<Integer, Map<String, PeftModule>> layers = new LinkedHashMap<>();
    byModule(Candidate.names(chosen))
        .forEach(
            (module, own) ->
                layers
                    .computeIfAbsent(module.layer(), layer -> new LinkedHashMap<>())
                    .put(
                        module.name(),
                        isWhole(own)
                            ? whole.get(module.layer()).get(module.name())
                            : type(module)
                                .create(encoder, module.layer(), cut(module, own, weights))));
    return layers;
  }

  private static boolean isWhole(List<Piece> own) {
    return own.size() == own.get(0).count;
  }

  /**
   * {@return the weights of smaller modules, by the modules' names}
   *
   * @param chosen slices
   * @param weights of a whole module, by its name
   */
  Map<String, List<Tensor>> weights(
      Collection<Candidate> chosen, Map<String, List<Tensor>> weights) {
    Map<String, List<Tensor>> smaller = new LinkedHashMap<>();
    byModule(Candidate.names(chosen))
        .forEach((module, own) -> smaller.put(module.name(), cut(module, own, weights)));
    return smaller;
  }

  private List<Tensor> cut(Candidate module, List<Piece> own, Map<String, List<Tensor>> weights) {
    List<Tensor> whole = weights.get(module.name());
    if (isWhole(own)) {
      return whole;
    }
    List<Parameter> parameters = parameters(module);
    List<Tensor> tensors = new ArrayList<>();
    for (int i = 0; i < whole.size(); i++) {
      tensors.add(cut(parameters.get(i), whole.get(i).detach(), own));
    }
    return tensors;
  }

  private static Tensor cut(Parameter parameter, Tensor whole, List<Piece> own) {
    if (parameter.inner() == Parameter.NONE) {
      return whole;
    }
    TensorVector parts = new TensorVector();
    for (Piece slice : own) {
      parts.push_back(
          whole.narrow(
              parameter.inner(),
              start(parameter, slice.index, slice.count),
              length(parameter, slice)));
    }
    return torch.cat(parts, parameter.inner());
  }

  /**
   * {@return LoRA's settings by which the modules of some slices have the size of these, and the
   * same factor of B·A as before}
   *
   * @param all the settings that the whole modules have
   * @param chosen names of slices
   */
  public LoraConfig lora(LoraConfig all, Collection<String> chosen) {
    Map<String, Integer> ranks = new TreeMap<>(all.rankPattern());
    Map<String, Double> alphas = new TreeMap<>(all.alphaPattern());
    sizes(chosen, Candidate.LORA)
        .forEach(
            (path, rank) -> {
              double share = (double) rank / all.rank(path);
              ranks.put(path, rank);
              alphas.put(path, all.alpha(path) * (all.rsLora() ? Math.sqrt(share) : share));
            });
    return all.with().rankPattern(ranks).alphaPattern(alphas).build();
  }

  /**
   * {@return adapters' settings by which the modules of some slices have the size of these}
   *
   * @param all the settings that the whole modules have
   * @param chosen names of slices
   */
  public AdapterConfig adapter(AdapterConfig all, Collection<String> chosen) {
    Map<String, Integer> sizes = new TreeMap<>(all.bottleneckPattern());
    sizes.putAll(sizes(chosen, Candidate.ADAPTER));
    return all.withBottleneckPattern(sizes);
  }

  /**
   * Ranks or bottlenecks of the modules of a kind that are not whole, by what the patterns of its
   * settings name.
   */
  private Map<String, Integer> sizes(Collection<String> chosen, String kind) {
    Map<String, Integer> sizes = new TreeMap<>();
    byModule(chosen)
        .forEach(
            (module, own) -> {
              if (module.type().equals(kind) && !isWhole(own)) {
                for (Parameter parameter : parameters(module)) {
                  if (parameter.inner() != Parameter.NONE) {
                    long size = own.stream().mapToLong(slice -> length(parameter, slice)).sum();
                    sizes.put(path(parameter.name(), kind), Math.toIntExact(size));
                  }
                }
              }
            });
    return sizes;
  }

  /** encoder.layer.0.attention.self.query of the names of what sits there. */
  private static String path(String parameter, String kind) {
    return kind.equals(Candidate.LORA)
        ? parameter.substring(0, parameter.indexOf(".lora_"))
        : parameter.substring(0, parameter.indexOf(".adapter_"));
  }
}
