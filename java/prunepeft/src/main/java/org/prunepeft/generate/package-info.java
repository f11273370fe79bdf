/** Texts that a language model writes. */
package org.prunepeft.generate;
