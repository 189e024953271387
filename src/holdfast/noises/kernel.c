/* Random words and noises, as draws.py, continuous.py, lattice_gaussian.py, subsets.py and uniform_flip.py compute
   them, in one pass. Derivation: docs/guarantees.md. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__gnu_linux__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define FOR_EACH_PROCESSOR
#endif

/* Blocks of four words made together, and pairs of values that belong to them. */
#define BLOCKS 16
#define PAIRS (8 * BLOCKS)

typedef unsigned __int128 wide;
/* Parts of words of 64 bits: without the attribute a compiler may read them before the words are written. */
typedef uint32_t __attribute__((may_alias)) word32;
typedef uint16_t __attribute__((may_alias)) word16;

typedef struct {
    uint64_t seed, upper, stream, lower;
} place;

/* Philox4x64-10 (Salmon et al. 2011) for `count` counters from `first` on. */
static inline void philox(uint64_t *words, int64_t count, uint64_t first, uint64_t lane, const place *at)
{
    for (int64_t block = 0; block < count; block++) {
        uint64_t a = first + (uint64_t)block, b = lane, c = at->stream, d = at->lower;
        uint64_t k = at->seed, l = at->upper;
        for (int round = 0; round < 10; round++) {
            wide p = (wide)0xD2E7470EE14C6C93u * a, q = (wide)0xCA5A826395121157u * c;
            a = (uint64_t)(q >> 64) ^ b ^ k;
            b = (uint64_t)q;
            c = (uint64_t)(p >> 64) ^ d ^ l;
            d = (uint64_t)p;
            k += 0x9E3779B97F4A7C15u;
            l += 0xBB67AE8584CAA73Bu;
        }
        words[4 * block] = a;
        words[4 * block + 1] = b;
        words[4 * block + 2] = c;
        words[4 * block + 3] = d;
    }
}

void holdfast_words(uint64_t *words, int64_t count, uint64_t first, uint64_t lane, const place *at)
{
    philox(words, count, first, lane, at);
}

/* The natural logarithm of x in (0, 1]: x = 2^e m with m in [sqrt(1/2), sqrt(2)), and a polynomial in m - 1. */
static inline float logarithm(float x)
{
    union { float value; int32_t bits; } u = {x};
    int32_t e = (u.bits - 0x3f3504f3) >> 23;
    u.bits -= e * (1 << 23);
    float t = u.value - 1.0f, z = t * t, scale = (float)e;
    float p = 7.0376836292e-2f;
    p = p * t - 1.1514610310e-1f;
    p = p * t + 1.1676998740e-1f;
    p = p * t - 1.2420140846e-1f;
    p = p * t + 1.4249322787e-1f;
    p = p * t - 1.6668057665e-1f;
    p = p * t + 2.0000714765e-1f;
    p = p * t - 2.4999993993e-1f;
    p = p * t + 3.3333331174e-1f;
    float y = p * t * z - 2.12194440e-4f * scale - 0.5f * z;
    return t + y + 0.693359375f * scale;
}

/* Pairs of normal values from pairs of words of 32 bits. */
FOR_EACH_PROCESSOR
static void pairs(float *restrict cosines, float *restrict sines, const word32 *restrict radii,
                  const word32 *restrict angles, float sigma)
{
    for (int i = 0; i < PAIRS; i++) {
        float u = ((float)(int32_t)(radii[i] & 0x7fffffffu) + 0.5f) * 0x1p-31f;
        float r = sqrtf(-2.0f * logarithm(u)) * sigma;
        /* The angle is a quarter turn times `quarter`, plus t in [-pi/4, pi/4]. */
        int32_t word = (int32_t)angles[i];
        int32_t quarter = (int32_t)((uint32_t)word + 0x20000000u) >> 30;
        float t = (float)(int32_t)((uint32_t)word - ((uint32_t)quarter << 30)) * (1.57079632679489662f * 0x1p-30f);
        float z = t * t;
        float s = t + t * z * (-1.6666654611e-1f + z * (8.3321608736e-3f - z * 1.9515295891e-4f));
        float c = 1.0f - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
        float y = quarter & 1 ? c : s, x = quarter & 1 ? s : c;
        cosines[i] = r * ((quarter + 1) & 2 ? -x : x);
        sines[i] = r * (quarter & 2 ? -y : y);
    }
}

/* Copy what was made of `count` blocks, from number `block` on, to rows that are `stride` apart and keep `limit` values
   each. A row has `blocks` blocks of 8; the last one may have too many values. */
static inline void lay(float *restrict out, int64_t stride, int64_t limit, int64_t blocks, int64_t block,
                       int64_t count, const float *restrict made)
{
    int64_t row = block / blocks, begin = block % blocks;
    while (count > 0) {
        int64_t some = blocks - begin < count ? blocks - begin : count;
        int64_t end = 8 * (begin + some) < limit ? 8 * (begin + some) : limit;
        for (int64_t i = 8 * begin; i < end; i++) out[row * stride + i] = made[i - 8 * begin];
        made += 8 * some;
        count -= some;
        begin = 0;
        row++;
    }
}

/* Write `draws` draws of `values` normal values each, from draw number `first` on. */
void holdfast_normal(float *out, int64_t draws, int64_t values, uint64_t first, float sigma, const place *at)
{
    uint64_t radii[4 * BLOCKS], angles[4 * BLOCKS];
    float cosines[PAIRS], sines[PAIRS];
    int64_t half = (values + 1) / 2;
    /* As draws.py counts: words of 32 bits in pairs of 64, four of these in a block. */
    int64_t blocks = (half + 7) / 8, all = draws * blocks;
    for (int64_t block = 0; block < all; block += BLOCKS) {
        int64_t count = all - block < BLOCKS ? all - block : BLOCKS;
        uint64_t start = first * (uint64_t)blocks + (uint64_t)block + 1;
        philox(radii, count, start, 0, at);
        philox(angles, count, start, 1, at);
        pairs(cosines, sines, (const word32 *)radii, (const word32 *)angles, sigma);
        lay(out, values, half, blocks, block, count, cosines);
        lay(out + half, values, values - half, blocks, block, count, sines);
    }
}

/* Uniform values from -half_width to half_width. */
FOR_EACH_PROCESSOR
static void fractions(float *restrict out, const word32 *restrict words, float half_width)
{
    for (int i = 0; i < PAIRS; i++) out[i] = (float)(int32_t)words[i] * 0x1p-31f * half_width;
}

/* Laplace values of scale b: the size is -b ln u from 31 bits of a word, the sign the other bit. */
FOR_EACH_PROCESSOR
static void exponentials(float *restrict out, const word32 *restrict words, float b)
{
    for (int i = 0; i < PAIRS; i++) {
        float u = ((float)(int32_t)(words[i] & 0x7fffffffu) + 0.5f) * 0x1p-31f;
        float size = -b * logarithm(u);
        union { float value; uint32_t bits; } signed_size = {size};
        signed_size.bits = (signed_size.bits & 0x7fffffffu) | (words[i] & 0x80000000u);
        out[i] = signed_size.value;
    }
}

/* Values that `make` computes, each from a word of 32 bits of a lane and from a scale. */
static void each(void (*make)(float *, const word32 *, float), float *out, int64_t draws, int64_t values,
                 uint64_t first, float scale, uint64_t lane, const place *at)
{
    uint64_t words[4 * BLOCKS];
    float made[PAIRS];
    int64_t blocks = (values + 7) / 8, all = draws * blocks;
    for (int64_t block = 0; block < all; block += BLOCKS) {
        int64_t count = all - block < BLOCKS ? all - block : BLOCKS;
        philox(words, count, first * (uint64_t)blocks + (uint64_t)block + 1, lane, at);
        make(made, (const word32 *)words, scale);
        lay(out, values, values, blocks, block, count, made);
    }
}

void holdfast_uniform(float *out, int64_t draws, int64_t values, uint64_t first, float half_width, uint64_t lane,
                      const place *at)
{
    each(fractions, out, draws, values, first, half_width, lane, at);
}

void holdfast_laplace(float *out, int64_t draws, int64_t values, uint64_t first, float b, uint64_t lane,
                      const place *at)
{
    each(exponentials, out, draws, values, first, b, lane, at);
}

/* Tables of a lattice noise (lattice_gaussian.py): steps decided by 16 bits, infinite where they are not; the number of
   thresholds below a bucket; the thresholds, with a larger value behind; half their number; words of a draw in a lane. */
typedef struct {
    const float *decided;
    const int64_t *below, *ends;
    int64_t half, width;
} lattice;

void holdfast_lattice(float *out, int64_t draws, int64_t values, uint64_t first, const lattice *table, const place *at)
{
    uint64_t words[4 * BLOCKS], low[4];
    int64_t blocks = (values + 15) / 16, low_blocks = (table->width + 3) / 4;
    for (int64_t row = 0; row < draws; row++) {
        uint64_t draw = first + (uint64_t)row;
        int64_t undecided = 0, at_hand = -1;
        for (int64_t block = 0; block < blocks; block += BLOCKS) {
            int64_t count = blocks - block < BLOCKS ? blocks - block : BLOCKS;
            philox(words, count, draw * (uint64_t)blocks + (uint64_t)block + 1, 0, at);
            const word16 *bits = (const word16 *)words;
            int64_t begin = 16 * block, end = begin + 16 * count < values ? begin + 16 * count : values;
            float *steps = out + row * values + begin;
            for (int64_t i = 0; i < end - begin; i++) steps[i] = table->decided[bits[i]];
            for (int64_t i = 0; i < end - begin; i++) {
                if (steps[i] != INFINITY) continue;
                int64_t lane = undecided / table->width, number = undecided % table->width;
                if (undecided / table->width * low_blocks + number / 4 != at_hand) {
                    at_hand = lane * low_blocks + number / 4;
                    philox(low, 1, draw * (uint64_t)low_blocks + (uint64_t)(number / 4) + 1, (uint64_t)lane + 1, at);
                }
                int64_t exact = ((int64_t)bits[i] << 44) | (int64_t)(low[number % 4] & 0xfffffffffffu);
                int64_t found = table->below[bits[i]];
                while (exact >= table->ends[found]) found++;
                steps[i] = (float)(found - table->half);
                undecided++;
            }
        }
    }
}

/* How subsets.py chooses: the number of places, words of 32 bits in a row, whether to keep what is not chosen, and room
   for one number for each place. */
typedef struct {
    int64_t places, width, leave_out;
    uint32_t *seen;
} subsets;

/* Write `draws` sets of `k` different places, from draw number `first` on. */
void holdfast_subsets(int64_t *out, int64_t draws, int64_t k, uint64_t first, const subsets *how, const place *at)
{
    uint64_t words[4 * BLOCKS];
    uint64_t places = (uint64_t)how->places;
    uint32_t unfair = (uint32_t)((1ull << 32) % places), mark = 0;
    int64_t blocks = (how->width + 7) / 8, chosen = how->leave_out ? how->places - k : k;
    memset(how->seen, 0, places * sizeof *how->seen);
    for (int64_t row = 0; row < draws; row++, out += k) {
        int64_t found = 0;
        for (uint64_t lane = 0; found < chosen; lane++) {
            uint64_t start = (first + (uint64_t)row) * (uint64_t)blocks + 1;
            int fair = 1;
            found = 0;
            mark++;
            for (int64_t block = 0; block < blocks; block += BLOCKS) {
                int64_t count = blocks - block < BLOCKS ? blocks - block : BLOCKS;
                int64_t left = how->width - 8 * block, end = left < 8 * count ? left : 8 * count;
                philox(words, count, start + (uint64_t)block, lane, at);
                const word32 *word = (const word32 *)words;
                for (int64_t i = 0; i < end; i++) {
                    uint64_t product = word[i] * places;
                    uint32_t where = (uint32_t)(product >> 32);
                    fair &= (uint32_t)product >= unfair;
                    /* Without a branch: a place that is not new is overwritten by the next one. */
                    if (found < chosen) {
                        if (!how->leave_out) out[found] = where;
                        found += how->seen[where] != mark;
                        how->seen[where] = mark;
                    }
                }
            }
            /* A word of the incomplete last round, or too few different places: the next lane. */
            if (!fair) found = 0;
        }
        if (!how->leave_out) continue;
        for (int64_t where = 0, next = 0; next < k; where++) {
            if (how->seen[where] != mark) out[next++] = where;
        }
    }
}

/* How uniform_flip.py draws steps: the fractions below which a place is kept, of 2^53; the number of other values; the
   largest integer of a complete round. */
typedef struct {
    uint64_t kept, others, last;
} flips;

/* Write `draws` draws of `places` steps each, from draw number `first` on. */
void holdfast_flips(int64_t *out, int64_t draws, int64_t places, uint64_t first, const flips *how, const place *at)
{
    uint64_t shares[4 * BLOCKS], integers[4 * BLOCKS], again[4];
    int64_t blocks = (places + 3) / 4;
    for (int64_t row = 0; row < draws; row++, out += places) {
        uint64_t start = (first + (uint64_t)row) * (uint64_t)blocks + 1;
        for (int64_t block = 0; block < blocks; block += BLOCKS) {
            int64_t count = blocks - block < BLOCKS ? blocks - block : BLOCKS;
            int64_t begin = 4 * block, end = begin + 4 * count < places ? begin + 4 * count : places;
            philox(shares, count, start + (uint64_t)block, 0, at);
            philox(integers, count, start + (uint64_t)block, 1, at);
            for (int64_t i = begin; i < end; i++) {
                uint64_t drawn = integers[i - begin] & 0x7fffffffffffffffu;
                for (uint64_t lane = 2; drawn > how->last; lane++) {
                    philox(again, 1, start + (uint64_t)(i / 4), lane, at);
                    drawn = again[i % 4] & 0x7fffffffffffffffu;
                }
                int kept = shares[i - begin] >> 11 < how->kept;
                out[i] = kept ? 0 : (int64_t)(drawn % how->others) + 1;
            }
        }
    }
}
