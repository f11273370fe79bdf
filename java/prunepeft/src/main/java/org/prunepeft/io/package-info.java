/**
 * Files in and out, on plain arrays and buffers, without a tensor library.
 *
 * <p>In: models and data on the class path ({@link org.prunepeft.io.Assets}), weights of ONNX
 * models ({@link org.prunepeft.io.OnnxWeights}). Both ways: tensors for Hugging Face's libraries
 * ({@link org.prunepeft.io.SafeTensors}), the results of a run ({@link
 * org.prunepeft.io.RunDirectory}). Files that come from elsewhere are checked before they are
 * believed.
 */
package org.prunepeft.io;
