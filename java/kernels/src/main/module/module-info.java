/** Kernels for LoRA, adapters, attention, decoders and importance, on whatever memory a pointer leads to. */
module org.prunepeft.kernels {
  requires transitive org.bytedeco.javacpp;
  // For CublasProduct alone.
  requires static org.bytedeco.cuda;

  exports org.prunepeft.kernels;

  // JavaCPP looks at these by reflection.
  opens org.prunepeft.kernels.binding to
      org.bytedeco.javacpp;
  opens org.prunepeft.kernels.presets to
      org.bytedeco.javacpp;
}
