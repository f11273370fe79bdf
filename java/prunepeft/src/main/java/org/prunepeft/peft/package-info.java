/**
 * Modules that are trained in a frozen encoder: which there are, and where they sit.
 *
 * <p>A {@link org.prunepeft.peft.ModuleType} names its tensors in a layer and makes a {@link
 * org.prunepeft.peft.PeftModule} of them; {@link org.prunepeft.peft.ModuleTypes} knows those that
 * are registered. {@link org.prunepeft.peft.LoraConfig} and {@link
 * org.prunepeft.peft.AdapterConfig} are in the names of PEFT and AdapterHub.
 */
package org.prunepeft.peft;
