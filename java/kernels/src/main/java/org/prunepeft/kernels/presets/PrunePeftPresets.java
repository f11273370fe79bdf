package org.prunepeft.kernels.presets;

import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/** Describes to JavaCPP how the C interface of libprunepeft becomes Java. */
@Properties(
    value =
        @Platform(
            cinclude = {
              "prunepeft/status.h",
              "prunepeft/tensor.h",
              "prunepeft/device.h",
              "prunepeft/graph.h",
              "prunepeft/memory.h",
              "prunepeft/quantized.h",
              "prunepeft/linear.h",
              "prunepeft/adapter.h",
              "prunepeft/attention.h",
              "prunepeft/encoder.h",
              "prunepeft/decoder.h",
              "prunepeft/loss.h",
              "prunepeft/importance.h"
            },
            link = "prunepeft"),
    target = "org.prunepeft.kernels.binding",
    global = "org.prunepeft.kernels.binding.LibPrunePeft")
public class PrunePeftPresets implements InfoMapper {
  @Override
  public void map(InfoMap infoMap) {
    infoMap.put(new Info("PP_API").cppTypes().annotations());
    infoMap.put(new Info("PP_ENUM").cppText("#define PP_ENUM").cppTypes());
    infoMap.put(
        new Info("pp_release_memory")
            .valueTypes("ReleaseMemoryFunction")
            .pointerTypes("ReleaseMemoryFunction"));
    infoMap.put(new Info("pp_matrix").pointerTypes("MatrixStruct"));
    infoMap.put(new Info("pp_device").pointerTypes("DeviceStruct"));
    infoMap.put(new Info("pp_context").pointerTypes("ContextStruct"));
    infoMap.put(new Info("pp_workspace").pointerTypes("WorkspaceHandle"));
    infoMap.put(new Info("pp_graph").pointerTypes("GraphHandle"));
    infoMap.put(new Info("pp_dropout").pointerTypes("DropoutStruct"));
    infoMap.put(new Info("pp_lora_module").pointerTypes("LoraModuleStruct"));
    infoMap.put(new Info("pp_quantized").pointerTypes("QuantizedStruct"));
    infoMap.put(new Info("pp_linear").pointerTypes("LinearHandle"));
    infoMap.put(new Info("pp_linear_shape").pointerTypes("LinearShapeStruct"));
    infoMap.put(new Info("pp_adapter").pointerTypes("AdapterStruct"));
    infoMap.put(new Info("pp_adapter_gradients").pointerTypes("AdapterGradientsStruct"));
    infoMap.put(new Info("pp_attention").pointerTypes("AttentionStruct"));
    infoMap.put(new Info("pp_layer_norm").pointerTypes("LayerNormStruct"));
    infoMap.put(new Info("pp_layer_adapter").pointerTypes("LayerAdapterStruct"));
    infoMap.put(new Info("pp_layer_linear").pointerTypes("LayerLinearStruct"));
    infoMap.put(new Info("pp_layer_block").pointerTypes("LayerBlockStruct"));
    infoMap.put(new Info("pp_encoder_layer").pointerTypes("EncoderLayerStruct"));
    infoMap.put(new Info("pp_rms_norm").pointerTypes("RmsNormStruct"));
    infoMap.put(new Info("pp_rotary").pointerTypes("RotaryStruct"));
    infoMap.put(new Info("pp_cross_entropy").pointerTypes("CrossEntropyStruct"));
    infoMap.put(new Info("pp_segment").pointerTypes("SegmentStruct"));
    infoMap.put(new Info("pp_importance_plan").pointerTypes("ImportancePlanHandle"));
  }
}
