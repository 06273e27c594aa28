"""Rules of the question router that are tried second: what is seen. Presence, scene, finding, caption."""

import re
from collections.abc import Sequence

from rsvlm.serve.question_patterns import CAN_YOU, GROUND, HERE, LAND, MARK, PART, PICTURE, PICTURES, SEE, Rule, rules

VIEW_RULES: Sequence[Rule] = (
    *rules(
        "presence",
        r"^(?:is|are|was|were|be) there\b(?: (?:really|still|also))?(?: (?:any |an? |some )?(?:signs?|traces?|"
        r"evidence) of)?",
        r"^(?:there (?:is|are)|whether there (?:is|are))\b",
        rf"^{CAN_YOU} (?:please )?(?:also )?(?:see|spot|make out|recogni[sz]e|notice|observe|discern|distinguish)\b"
        r"(?: (?:if|whether) there (?:is|are))?(?! (?:what|where|how))",
        rf"^{CAN_YOU} {SEE} (?=(?:any|some|an?)\b)",
        r"^(?:see|spot|notice|make out) (?=(?:any|an?|some)\b)",
        r"^any(?:thing)?\b(?! idea| interesting| notable| special| unusual| else)(?: (?:signs?|traces?|evidence|"
        r"indications?|hints?) of)?|^(?:presence|existence|signs?|traces?|evidence) of\b|^(?:check|look|verify|"
        r"confirm)(?: (?:for|if|whether|that))?(?: there (?:is|are))?(?: the)?(?: presence of)?(?= any\b|$)",
        r"^(?:check|verify|confirm|test) (?:for |if |whether |that )?(?:there (?:is|are) )?(?:the presence of )?",
        r"^(?:have|has) (?:you|we|it) (?:got|seen|found|spotted|noticed|detected)\b|^(?:is|are) (?=(?:any|some)\b)",
        rf"^(?:does|do) {HERE} (?:look|seem|appear)(?: to be| like)?\b|^(?:does|do) there (?:exist|seem to be|"
        rf"appear to be)\b"
        r"|^(?:could|can|might|may|would|will) there be\b|^(?:contains?|includes?)\b",
        r"^are (?=(?!the\b|these\b|those\b|they\b|you\b|we\b|all\b)[\w-]+(?: [\w-]+)? (?:\w+ing|\w+ed|built|"
        r"seen) (?:in|on|at|by|along|near|around|next|under|over|across|from|here)\b)",
        rf"^(?:does|do|did|has|have|is) {HERE} (?:contain|show|include|have|has|feature|display|depict|got|hold|"
        rf"containing|showing)\b",
        rf"^(?:whether |if )?{HERE} (?:contains|shows|has|includes|features|depicts)\b",
        rf"^(?:whether |if )(?:you|we|one|i) (?:can )?{SEE}\b",
        rest=True,
    ),
    *rules(
        "presence",
        r"^(?:has|have) .{1,60}? (?:got|any)\b(?P<thing>.{1,200})",
        r"^(?:does|do|did) .{1,80}? (?:contain|show|include|have|feature)\b(?P<thing>.{1,200})",
        rf"^(?:is|are|was|were) (?!this\b|that\b|it\b|these\b)(?P<thing>.{{1,120}}?) (?:visible|present|shown|seen|"
        rf"there|anywhere|detectable|apparent|to be (?:seen|found)|in sight|recogni[sz]able|(?:in|on|"
        rf"within) (?:this|the) {GROUND})\b(?! (?:of|to)\b)",
        rf"^(?:(?:is|are|was) {HERE}|(?:could|can|might|would|may) {HERE} be) (?:(?:of |showing )?an?|part of an?|"
        rf"(?:some|any) (?:kind|sort|type) of|all|mostly|mainly)? ?(?P<thing>(?:(?<=a )|(?<=an )|"
        rf"(?={LAND}\b))(?:(?!or\b|than\b|to\b)[\w-]+)(?: (?!or\b|than\b|to\b)[\w-]+){{0,8}})$",
        r"^(?P<thing>(?:(?!is\b|are\b|how\b|what\b|wh\w+\b)[\w-]+ ){1,5}?)(?:is |are )?"
        r"(?:visible|present|there|detectable)\b(?: (?:here|anywhere))?$",
        r"^(?:can|could) (?!you\b|we\b|i\b|one\b)(?P<thing>.{1,80}?) be (?:seen|found|spotted|detected|identified|"
        r"made out|recogni[sz]ed|distinguished)\b",
        r"^are (?:these|those|they) (?P<thing>(?:[\w-]+ ){0,3}\w+s)$",
        rf"^(?:whether|if) (?P<thing>.{{1,80}}?) (?:is|are|can be) (?:visible|present|shown|seen|there|in {PICTURE})",
    ),
    *rules(
        "scene",
        r"\bland[ -]?(?:cover|use)s?\b|\blulc\b|\bcorine\b|\bclassif(?:y|ication)\b|\b(?:covers the ground|"
        r"land .{0,20}used|use .{0,20}of the land|how is (?:the|this) (?:ground|land|surface|area|"
        r"terrain) (?:covered|used))\b",
        r"\b(?:scene|terrain|landscape|area|place|zone|habitat|environment|cover|ground|surface|vegetation|"
        r"settlement) (?:category|class|type|label)\b",
        r"\b(?:kind|type|sort|category|class)s? of (?:a )?(?:scene|place|area|land|terrain|landscape|environment|"
        r"region|site|location|surface|ground|zone|habitat|neighbou?rhood|setting|ecosystem|vegetation zone|spot|"
        r"settlement|territory)\b",
        r"^(?:what|which|name the|predict the|assign (?:a|the)) (?:is the )?(?:dominant |main |best |overall |"
        r"correct |most \w+ )*(?:of the )?(?:category|categories|class|classes|biome|ecosystem|habitat|label)\b|"
        r"\b(?:category|class) (?:does|would|do|is|best)\b",
        rf"\bwhat covers (?:most|the (?:ground|surface|land))\b|^(?:categori[sz]e|label) (?:{HERE})\b",
    ),
    *rules(
        "caption",
        r"^(?:list|name) (?:the |all |me )*(?:main |different |various |visible )*"
        r"(?:objects|features|things|elements|what)\b",
    ),
    *rules(
        "find",
        rf"^{MARK}(?: (?:in|on) {PICTURE}\b:?)?(?: for me)?(?: (?:where|which))?(?! (?:out|how|what|if|"
        rf"whether)\b)\b:?",
        r"^(?:show|give|tell|get|take|bring)(?: (?:me|us))?(?: to)? where\b",
        rf"^(?:show|display|give)(?: (?:me|us))? (?=(?:all|every|each|any|the (?!{PICTURES}\b|scene|whole)|where)\b)",
        rf"^show me (?!{PICTURE}|what|how|an? (?:description|summary|caption|overview))",
        rf"^{CAN_YOU} (?:find|detect|identify|locate) ",
        rf"^(?:whereabouts|where (?:about|exactly|abouts)?(?: ?{CAN_YOU} {SEE}| can be found)?)\b(?: (?:in|"
        rf"on) {PICTURE})?",
        rf"^(?:(?:in|on|at|to) )?(?:which|what) {PART}s? (?:of {PICTURE} )?(?:(?:is|are|lies?|has|have|shows?|"
        rf"contains?|{CAN_YOU} {SEE}|do i find) )",
        r"^(?:the )?(?:locations?|positions?|whereabouts) (?:of|for) ",
        rest=True,
    ),
    *rules(
        "find",
        r"^(?P<thing>(?:the|all|every)(?: (?!is\b|are\b|was\b|were\b|shows?\b|has\b|have\b)[\w-]+){1,9})$",
        r"^(?P<thing>.{1,80}?)(?:,| -|:)? (?:where|location|locations)(?: (?:is|are) (?:it|they))?$",
        r"^which (?P<thing>(?:[\w-]+ ){1,3})is (?:the )?(?P<most>largest|biggest|smallest|longest|widest|tallest|"
        r"closest|nearest|highest|oldest|newest|most \w+|\w+most)$",
        r"^(?:which|what) (?:one )?is (?P<thing>the (?:largest|biggest|smallest|longest|widest|tallest|closest|"
        r"nearest) (?!.{0,80}\b(?:made|used|called|named|doing|like|colou?r|problem|difference)\b).{1,80})$",
    ),
    *rules(
        "caption",
        r"^anything (?:interesting|notable|special|unusual|remarkable|else)\b",
        r"\b(?:describe|describing|caption|captions|summari[sz]e|summary|description|account|overview|interpret|"
        r"analy[sz]e|narrate|alt[ -]text|gist)\b",
        rf"^explain (?:to me )?(?:what )?(?:{HERE})\b|\bwhat (?:does )?(?:{HERE}) (?:shows?|depicts?|contains?|"
        rf"displays?|portrays?|looks? like)\b|^how does {HERE} look\b|\bmain (?:features?|contents?|elements?|"
        rf"objects?|things?) (?:of|in|on) {HERE}\b|\binto words\b|^what does the (?:satellite|sensor|drone|camera|"
        rf"plane) see\b|\bmake of (?:{HERE})\b",
        r"^what (?:all )?(?:is|are) (?:there|here|going on|happening|shown|visible|seen|depicted|displayed|"
        r"pictured)\b"
        rf"|^(?:what|which) (?:objects|features|(?:kinds? of |sorts? of )?things|elements|stuff) (?:is|are|can|"
        rf"do)\b|^what (?:is|are) (?:in|on) {PICTURE}\b|^what (?:is|are) (?:{PICTURE}|this|it|that)(?: (?:of|about|"
        rf"an? \w+ of|showing))?$|^what (?:this|it) is$|^what kind of {PICTURES}\b",
        r"\bwhat (?:else )?(?:stands out|can be (?:seen|observed|made out|identified)|(?:can|do|could|"
        r"would) (?:you|i|we|one) see|(?:you|i|we|one) (?:can )?(?:see|observe|notice)|"
        r"(?:am i|are we|i am|we are) (?:looking at|seeing))\b|\bwhat (?:do|have) (?:we|you|i) (?:have|got|find|"
        r"notice)\b",
        rf"\b(?:tell (?:me|us) (?:more |something |everything )?|talk |write (?:something )?|"
        rf"say something )about (?:{HERE}|what)\b"
        r"|^(?:walk|talk) me through\b|\b(?:write|in) (?:\w+ ){0,3}(?:sentences?|words|paragraph)\b",
    ),
)
QUESTIONED = re.compile(
    r"^(?!(?:can|could|do|does|did|will|would|should|help|wh\w+|how|i|you|my|me|we|thanks?|yes|no|hello|hi|and|or|"
    r"then|so)\b)(?:(?!is\b|are\b)[a-z-]+)(?: (?!is\b|are\b)[a-z-]+){0,2}$"
)
