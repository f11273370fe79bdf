/**
 * What to prune: the decisions of PrunePEFT, without a tensor.
 *
 * <p>A {@link org.prunepeft.search.SearchSpace} lists the modules of a supernet. A {@link
 * org.prunepeft.search.SupernetTrainer}, which lives elsewhere, trains the modules that are left
 * and reports a few sums over the weights and gradients of each. From those this package scores the
 * modules and says which ones go: {@link org.prunepeft.search.WarmUp} finds which criteria suit
 * which part of the network, {@link org.prunepeft.search.IterativePruning} removes modules round by
 * round until a budget of trainable parameters is met.
 *
 * <p>Every decision is a function of the statistics, the settings and the seed. Modules and
 * criteria are brought into a fixed order first, so the order in which they are listed never
 * matters, and ties are decided by a seeded hash of the module's name.
 */
package org.prunepeft.search;
