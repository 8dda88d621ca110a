"""The "edited with AI" tag: an XMP packet with IPTC's digital source type, where photo tools and websites look for it.

Sources: XMP specification part 1, section 7; IPTC Photo Metadata Standard 2025.1, "Digital Source Type".
"""

import re
from typing import Final
from xml.sax.saxutils import quoteattr

# IPTC NewsCodes: "Edited using Generative AI". A given picture was changed; what is made from a prompt alone would be
# `trainedAlgorithmicMedia`.
DIGITAL_SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

_PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' Iptc4xmpExt:DigitalSourceType="{source_type}" xmp:CreatorTool={tool}/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
# As an attribute or as an element: XMP allows both, and tools that save a picture again write the one or the other.
_SOURCE_TYPE: Final = re.compile(rb"DigitalSourceType(?:>|\s*=\s*[\"'])\s*([^<>\"'\s]{1,200})")
_MAX_BYTES: Final = 1_000_000


def packet(tool: str) -> bytes:
    """The XMP of a picture that ``tool`` made of another."""
    return _PACKET.format(source_type=DIGITAL_SOURCE_TYPE, tool=quoteattr(tool)).encode()


def source_type(data: bytes) -> str | None:
    """The digital source type that an XMP packet names, None if there is none.

    The packet may be anybody's, so it is searched and not parsed as XML, whose entities a stranger can make expand.
    """
    found = _SOURCE_TYPE.search(data[:_MAX_BYTES])
    return found[1].decode(errors="replace") if found else None
