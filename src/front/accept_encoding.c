#include "front/accept_encoding.h"

#define WEIGHT_MAX 1000
#define WEIGHT_DECIMALS 3

/* `0.123` or `1.000` (RFC 9110, section 12.4.2) in thousandths; what is none counts as a refusal. */
static int parse_weight(struct text text)
{
    if (text.length == 0 || (text.bytes[0] != '0' && text.bytes[0] != '1'))
        return 0;
    int weight = (text.bytes[0] - '0') * WEIGHT_MAX;
    if (text.length == 1)
        return weight;
    if (text.bytes[1] != '.' || text.length > 2 + WEIGHT_DECIMALS)
        return 0;
    int unit = WEIGHT_MAX / 10;
    for (size_t at = 2; at < text.length; at++, unit /= 10) {
        if (text.bytes[at] < '0' || text.bytes[at] > '9')
            return 0;
        weight += (text.bytes[at] - '0') * unit;
    }
    return weight <= WEIGHT_MAX ? weight : 0;
}

/* `gzip;q=0.5`: the coding's name, and its weight. */
static int split_weight(struct text entry, struct text *ret_coding)
{
    struct text rest = entry;
    struct text part;
    text_split(&rest, ';', &part);
    *ret_coding = text_trim(part);
    int weight = WEIGHT_MAX;
    while (text_split(&rest, ';', &part)) {
        part = text_trim(part);
        if (part.length >= 2 && (part.bytes[0] == 'q' || part.bytes[0] == 'Q') && part.bytes[1] == '=')
            weight = parse_weight(text_of(part.bytes + 2, part.length - 2));
    }
    return weight;
}

bool accept_encoding_wants_gzip(struct text value)
{
    const int unsaid = -1;
    int gzip = unsaid, identity = unsaid, others = unsaid;
    struct text rest = value;
    struct text entry;
    while (text_split(&rest, ',', &entry)) {
        struct text coding;
        int weight = split_weight(entry, &coding);
        if (text_is_caseless(coding, "gzip") || text_is_caseless(coding, "x-gzip"))
            gzip = weight;
        else if (text_is_caseless(coding, "identity"))
            identity = weight;
        else if (text_is(coding, "*"))
            others = weight;
    }
    if (gzip == unsaid)
        gzip = others;
    /* Who does not speak of identity takes it, and sent the header to get something better. */
    return gzip > 0 && gzip >= identity;
}
