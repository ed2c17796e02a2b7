/* Where the first five columns of VCF lines lie in a text. */
#ifndef FASTSEQ_VCF_H
#define FASTSEQ_VCF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    int64_t chrom;      /* run of equal names the record belongs to */
    int64_t pos;        /* 1-based as written; 0 where it is no whole number */
    int64_t id[2], ref[2], alt[2];      /* [start, end) in the text */
    int64_t alts;       /* alleles in ALT, at least 1 */
} vcf_record;

typedef struct {
    int64_t consumed;   /* bytes of whole lines read */
    int64_t lines;      /* lines read, comments and blank ones included */
    int64_t records, runs, alleles;
    int64_t columns;    /* of a line with fewer than five, where reading stopped; else 0 */
} vcf_progress;

static inline int64_t vcf_number(const uint8_t *text, int64_t start, int64_t end)
{
    int64_t value = 0;
    if (end == start || end - start > 18)
        return 0;
    for (; start < end; start++) {
        if (text[start] < '0' || text[start] > '9')
            return 0;
        value = 10 * value + (text[start] - '0');
    }
    return value;
}

/* Read whole lines until `room` records stand, the text ends, or a line is too short. `last`
   says that the text is the end of the file, so that a line need not end in a newline.
   Records of one name in a row make a run; runs[r] is where its name lies. */
static void vcf_read(const uint8_t *text, int64_t size, int last, vcf_record *records,
                     int64_t (*runs)[2], int64_t room, vcf_progress *done)
{
    int64_t at = 0, name = 0, name_length = -1;
    memset(done, 0, sizeof *done);
    while (at < size && done->records < room) {
        int64_t tab[5], columns = 0, from = at;
        const uint8_t *found = memchr(text + at, '\n', (size_t)(size - at));
        if (!found && !last)
            break;
        int64_t end = found ? found - text : size, next = found ? end + 1 : size;
        if (end > at && text[end - 1] == '\r')
            end--;
        done->lines++;
        if (end == at || text[at] == '#') {
            at = done->consumed = next;
            continue;
        }
        while (columns < 5) {
            found = memchr(text + from, '\t', (size_t)(end - from));
            tab[columns++] = found ? found - text : end;
            if (!found)
                break;
            from = tab[columns - 1] + 1;
        }
        if (columns < 5) {
            done->columns = columns;
            return;
        }
        vcf_record *record = records + done->records++;
        if (tab[0] - at != name_length || memcmp(text + at, text + name, (size_t)name_length)) {
            name = runs[done->runs][0] = at;
            runs[done->runs++][1] = tab[0];
            name_length = tab[0] - at;
        }
        record->chrom = done->runs - 1;
        record->pos = vcf_number(text, tab[0] + 1, tab[1]);
        record->id[0] = tab[1] + 1;
        record->id[1] = tab[2];
        record->ref[0] = tab[2] + 1;
        record->ref[1] = tab[3];
        record->alt[0] = tab[3] + 1;
        record->alt[1] = tab[4];
        record->alts = 1;
        for (int64_t i = tab[3] + 1; i < tab[4]; i++)
            record->alts += text[i] == ',';
        done->alleles += record->alts;
        at = done->consumed = next;
    }
}

/* Copy lines without what stands behind their fifth tab; return the bytes written. `state` is
   where in a line the text before ended: VCF_FRESH, VCF_HEADER, or so many tabs behind. */
enum { VCF_FRESH = -2, VCF_HEADER = -1 };

static int64_t vcf_cut(const uint8_t *text, int64_t size, int64_t *state, uint8_t *out)
{
    int64_t at = 0, written = 0;
    while (at < size) {
        if (*state == VCF_FRESH)
            *state = text[at] == '#' ? VCF_HEADER : 0;
        while (*state >= 0 && *state < 5 && at < size && text[at] != '\n') {
            *state += text[at] == '\t';
            out[written++] = text[at++];
        }
        const uint8_t *found = memchr(text + at, '\n', (size_t)(size - at));
        int64_t end = found ? found - text : size;
        if (*state == VCF_HEADER) {
            memcpy(out + written, text + at, (size_t)(end - at));
            written += end - at;
        }
        if (found) {
            out[written++] = '\n';
            *state = VCF_FRESH;
        }
        at = found ? end + 1 : size;
    }
    return written;
}

#endif
