# Answers of limma and edgeR on made-up data, for the tests in this folder's parent.
# Run in this folder:  Rscript record_answers.R     (Debian 12: apt-get install r-bioc-limma r-bioc-edger)
# The data are made here with R's own generator (set.seed), written, read back, and analysed as read.
# Versions that made the files beside this script are in versions.csv.

suppressMessages({library(limma); library(edgeR)})
put <- function(x, file) {
  x <- as.data.frame(x); numbers <- sapply(x, is.numeric); x[numbers] <- lapply(x[numbers], signif, 13)
  write.csv(x, if (grepl("gz$", file)) gzfile(file) else file, row.names = FALSE, quote = FALSE)
}

# ---- arrays: 300 genes, 7 subjects before and after, values missing, some genes hypervariable -----------------
set.seed(20)
genes <- 300
subject <- factor(rep(1:7, each = 2)); time <- factor(rep(c("before", "after"), 7), levels = c("before", "after"))
batch <- factor(c(1, 2, 1, 2, 2, 1, 2, 1, 1, 1, 2, 2, 1, 2)); age <- rep(c(61, 70, 55, 66, 49, 73, 58), each = 2)
mean <- runif(genes, 4, 13)
sd <- 0.15 * sqrt(6 / rchisq(genes, 6)) * (1 + 3 * exp(-(mean - 4) / 2)); sd[1:9] <- sd[1:9] * 6
y <- mean + matrix(rnorm(genes * 7), genes)[, as.integer(subject)] * 0.4 + matrix(rnorm(genes * 14), genes) * sd
y[10:40, time == "after"] <- y[10:40, time == "after"] + 0.6
y[41:55, time == "after"] <- y[41:55, time == "after"] - 0.5
y <- round(y, 4)
holes <- y; holes[cbind(rep(101:160, 2), rep_len(1:14, 120))] <- NA; holes[170, 1:5] <- NA; holes[171, 3:12] <- NA
colnames(y) <- colnames(holes) <- paste0(ifelse(time == "after", "a", "b"), subject); rownames(y) <- rownames(holes) <- sprintf("G%03d", 1:genes)
put(data.frame(gene = rownames(y), holes), "arrays.csv")          # the complete matrix is arrays.csv without genes 101-171
put(data.frame(sample = colnames(y), subject = paste0("S", subject), time, batch = paste0("B", batch), age), "arrays_samples.csv")
sets <- list(up = 10:40, down = 41:55, mixed = c(1:9, 20:30, 200:210), quiet = 210:299, half = seq(2, 300, 2), three = c(12, 14, 250))
writeLines(sapply(names(sets), function(s) paste(c(s, paste("made-up set", s), sprintf("G%03d", sets[[s]])), collapse = "\t")), "sets.gmt")

full <- holes[-(101:171), ]
answers <- function(fit, coef, name) {
  t <- topTable(fit, coef = coef, number = Inf, sort.by = "none", confint = TRUE)
  data.frame(analysis = name, gene = rownames(fit$coefficients), estimate = t$logFC, low = t$CI.L, high = t$CI.R, mean = t$AveExpr, t = t$t,
             p = t$P.Value, q = t$adj.P.Val, df_total = fit$df.total, prior_df = rep_len(fit$df.prior, nrow(fit)), prior_var = rep_len(fit$s2.prior, nrow(fit)))
}
paired <- model.matrix(~ subject + time); last <- ncol(paired)
group <- model.matrix(~ time); covariates <- model.matrix(~ batch + age + time)
out <- list()
for (trend in c(FALSE, TRUE)) for (robust in c(FALSE, TRUE)) {
  tag <- paste0(if (trend) "_trend", if (robust) "_robust")
  out[[length(out) + 1]] <- answers(eBayes(lmFit(full, paired), trend = trend, robust = robust), last, paste0("paired", tag))
  out[[length(out) + 1]] <- suppressWarnings(answers(eBayes(lmFit(holes, paired), trend = trend, robust = robust), last, paste0("paired_missing", tag)))
}
out[[length(out) + 1]] <- answers(eBayes(lmFit(full, group)), 2, "unpaired")
out[[length(out) + 1]] <- answers(eBayes(lmFit(full, covariates)), 4, "unpaired_covariates")
out[[length(out) + 1]] <- answers(eBayes(lmFit(holes, model.matrix(~ subject + batch + time))), 9, "paired_missing_batch")
rho <- duplicateCorrelation(full, group, block = subject)$consensus.correlation
rho_missing <- duplicateCorrelation(holes, group, block = subject)$consensus.correlation
out[[length(out) + 1]] <- answers(eBayes(lmFit(full, group, block = subject, correlation = rho)), 2, "random")
out[[length(out) + 1]] <- answers(eBayes(lmFit(holes, group, block = subject, correlation = rho_missing)), 2, "random_missing")

# ---- gene sets -------------------------------------------------------------------------------------------------
index <- ids2indices(lapply(sets, function(s) sprintf("G%03d", s)), rownames(full))
index <- index[names(sets)]
cam <- function(name, ...) { r <- camera(full, index, paired, contrast = last, sort = FALSE, ...)
  data.frame(analysis = name, set = rownames(r), size = r$NGenes, correlation = if (is.null(r$Correlation)) NA else r$Correlation, direction = r$Direction, p = r$PValue) }
put(rbind(cam("camera_preset"), cam("camera_estimated", inter.gene.cor = NA), cam("rank_preset", use.ranks = TRUE),
          cam("rank_estimated", use.ranks = TRUE, inter.gene.cor = NA), cam("camera_negative", inter.gene.cor = NA, allow.neg.cor = TRUE)), "sets_answers.csv")

# ---- counts: 500 genes, 6 subjects before and after ------------------------------------------------------------
set.seed(21)
genes <- 500; pair <- factor(rep(1:6, 2)); when <- factor(rep(c("before", "after"), each = 6), levels = c("before", "after"))
expected <- exp(rnorm(genes, 4, 2)); library_size <- c(1, .6, 1.4, .9, 2, 1.1, .8, 1.7, 1, .5, 1.2, .9)
mu <- outer(expected, library_size) * exp(matrix(rnorm(genes * 6, 0, .3), genes)[, as.integer(pair)])
mu[1:40, when == "after"] <- mu[1:40, when == "after"] * 2.5; mu[41:60, when == "after"] <- mu[41:60, when == "after"] / 3
counts <- matrix(rnbinom(length(mu), mu = mu, size = 1 / ((0.05 + 0.5 / sqrt(expected)) * 4 / rchisq(genes, 4))), genes)
counts[491:500, ] <- 0
rownames(counts) <- sprintf("C%03d", 1:genes); colnames(counts) <- paste0(ifelse(when == "after", "a", "b"), pair)
put(data.frame(gene = rownames(counts), counts), "counts.csv")
put(data.frame(sample = colnames(counts), subject = paste0("S", pair), time = when), "counts_samples.csv")
d <- DGEList(counts); design <- model.matrix(~ pair + when)
by_group <- filterByExpr(d, group = when); by_design <- filterByExpr(d, design = design)
put(data.frame(gene = rownames(counts), by_group, by_design), "counts_kept.csv")
d <- calcNormFactors(d[by_group, , keep.lib.sizes = FALSE])
put(data.frame(sample = colnames(counts), norm_factor = d$samples$norm.factors, library = d$samples$lib.size), "counts_libraries.csv")
v <- voom(d, design); vu <- voom(d, model.matrix(~ when))
put(data.frame(gene = rownames(v), E = v$E, W = v$weights), "voom.csv.gz")
out[[length(out) + 1]] <- answers(eBayes(lmFit(v, design)), ncol(design), "voom")
out[[length(out) + 1]] <- answers(eBayes(lmFit(v, design), robust = TRUE), ncol(design), "voom_robust")
out[[length(out) + 1]] <- answers(eBayes(lmFit(vu, model.matrix(~ when))), 2, "voom_unpaired")
rho_counts <- duplicateCorrelation(vu, model.matrix(~ when), block = pair)$consensus.correlation
out[[length(out) + 1]] <- answers(eBayes(lmFit(vu, model.matrix(~ when), block = pair, correlation = rho_counts)), 2, "voom_random")
put(do.call(rbind, out), "answers.csv.gz")
put(data.frame(quantity = c("rho", "rho_missing", "rho_counts"), value = c(rho, rho_missing, rho_counts)), "correlations.csv")
put(data.frame(software = c("R", "limma", "edgeR", "statmod"), version = c(paste(R.version$major, R.version$minor, sep = "."),
    as.character(packageVersion("limma")), as.character(packageVersion("edgeR")), as.character(packageVersion("statmod")))), "versions.csv")
