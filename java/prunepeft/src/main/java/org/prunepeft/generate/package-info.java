/**
 * Texts that a language model writes: what it makes of prompts ({@link
 * org.prunepeft.generate.TextGenerator}), and its answers in a conversation ({@link
 * org.prunepeft.generate.Dialogue}).
 */
package org.prunepeft.generate;
