"""Word tables of the question router: key words and their neighbours in spelling, short forms, other languages."""

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that the rules look for, and things often asked for: a slip in one of these is mended.
KEY_WORDS = _words(
    """
    how many much number count what which where when there this that the image picture photo scene satellite
    describe description caption summary summarise summarize classify category landcover find locate highlight
    outline detect visible present area percentage percent share fraction proportion amount large biggest largest
    resolution pixel pixels bands coordinates country projection location taken captured acquired acquisition date
    water forest boats ships buildings houses cars vehicles trees roads vegetation aircraft airplanes hectares
    coverage covered please could would does contain show identify whether
    """
)

# Real words within reach of a key word: these are left as they are.
REAL_WORDS = _words(
    """
    who man may mane mange mulch mush mach numbers numbed umber counts county court cont mount wheat whats hat
    where's were here hers three these theme thee therm their thief thin thus than then them they thaw images
    imaged pictures pictured pitcher photos photon proto scenes scent scenery satellites described describes
    descriptive descriptions captions caution captain summaries summarised summarized summarises summarizes
    submarine summery clarify classic classics categories finds fin fined fiend locale located locates highlighted
    highlights highlighter outlined outlines outliner defect detects detest visibly risible presents prevent
    percentages percentile presently arena areas are aria scare shade shake shale shame shape shapes shared shares
    shark sharp shore spare stare snare fractions fractional faction factions fiction friction function fruition
    proportions proportional promotion proposition amounts larger largely barge lager big bigger resolutions
    revolution revolutions resolutely pixie band banks bans bends binds bonds brands sands lands hands coordinate
    coordinated coordinator counties production projectile projecting projections projector prosecution protection
    protections take takes token capture captures cultured capturing acquire acquires inquired acquisitions dated dates
    data dare dote waters watery later wafer wader forests foresee boast boasts beats bats boat bolts boots bots
    bouts boas coats ship shops slips chips whips building horses hoses house housed hours car cards cares carts
    carbs cats caps cans cabs chars scars vehicle vesicles tree tries tress treks road reads rods toads loads
    vegetarian vegetative airlines airplane hectare converge courage coveted cover covers pleas pleased pleasure
    cold gould mould world wound doe doses dose domes dies dues contains content shown shows sow slow snow shoe
    shop shot stow identity identifies lactation locating locations vacation weather wether largess bigots
    pixelate pixelated coastal crs gsd utm srs rgb ndvi aoi
    """
)

# fmt: off
SHORT_FORMS: Mapping[str, str] = {
    "what's": "what is", "whats": "what is", "what're": "what are", "where's": "where is", "wheres": "where is",
    "where're": "where are", "how's": "how is", "when's": "when is", "who's": "who is", "which's": "which is",
    "it's": "it is", "there's": "there is", "theres": "there is", "that's": "that is", "i'd": "i would",
    "i'm": "i am", "i've": "i have", "we'd": "we would", "we're": "we are", "they're": "they are", "isnt": "is",
    "arent": "are", "doesnt": "does", "doesn't": "does", "dont": "do", "don't": "do", "isn't": "is",
    "aren't": "are", "r": "are", "u": "you", "pls": "please", "plz": "please", "thx": "thanks", "pic": "picture",
    "pics": "pictures", "img": "image", "nr": "number", "mtrs": "metres", "imgae": "image",
    "landcover": "land cover", "landuse": "land use", "howmany": "how many",
    "howmuch": "how much", "adn": "and", "thier": "their", "ani": "any", "eny": "any",
    "wanna": "want to", "gimme": "give me", "lemme": "let me",
}
# fmt: on

# Words that tell English from the languages below. A word of both counts for both.
ENGLISH = _words(
    """
    a about all am an and any are as at be been below by can could did do does east find for from give has have
    how i if image in is it land large largest like list long many map mark me much near north number of on or our
    picture please scene show south tell than that the their them there these they this to was water we were west
    what when where which who whose why will with would you your count describe percentage percent share area
    building buildings house houses boat boats ship ships car cars tree trees road roads river lake forest present
    visible here not
    """
)

# Short words that also stand in names of places ("El Paso", "La Rochelle"): alone they prove nothing.
PARTICLES = _words(
    """
    a al an as da das de del den der des di die do dos du e el en i il in is la las le les lo los na no o on op os
    san se si so st sur te van von was y z are for had has hat her dem man me her over under mit more most par pod
    """
)

LANGUAGES: Mapping[str, frozenset[str]] = {
    "French": _words(
        """
        comment combien de y a-t-il a il est sont où ou quel quelle quels quelles que quoi qu'est-ce est-ce des
        les le la l'image dans cette cet ce d'eau eau bateaux maisons image décris décrire décrivez compte comptez
        trouve trouvez montre montrez moi nombre du un une et avec sur quand pourquoi photo arbres voitures
        bâtiments forêt se trouve voit-on route surface neige
        """
    ),
    "German": _words(
        """
        wie viele viel wo was wann welche welcher welches ist sind gibt es ein eine einen der die das den dem des
        bild auf im in diesem dieser dieses zeige zeig mir finde beschreibe beschreiben zähle zählen wasser
        schiffe boote häuser gebäude wald bäume autos und mit fläche anteil groß wurde aufgenommen zu sehen man
        kann sie bitte hier straßen nicht von
        """
    ),
    "Spanish": _words(
        """
        cuántos cuántas cuantos cuantas cuánto cuánta cuanto dónde donde qué que hay es son el la los las en esta
        este esto imagen una un del de agua barcos casas edificios describe describa descripción encuentra muestra
        cuenta cuál cual cuándo por favor y con árboles coches bosque fue tomada foto se ve puede carreteras
        """
    ),
    "Italian": _words(
        """
        dov com quante quanti quanta quanto dove cosa che c'è ci sono è il lo la gli le i nell'immagine immagine
        in questa questo una un di del della acqua barche case edifici descrivi trova mostra conta quale quando e
        con per favore alberi strade bosco foto nella si vede
        """
    ),
    "Portuguese": _words(
        """
        quantos quantas quanto onde o que há é são os as na no nesta neste imagem uma um de da do água barcos
        casas edifícios descreva descreve encontre mostre conte qual quando e com por favor árvores carros
        estradas floresta foi esta tirada foto
        """
    ),
    "Dutch": _words(
        """
        hoeveel waar wat wanneer welke is er zijn het de een dit deze op in afbeelding foto beeld beschrijf toon
        tel vind boten schepen huizen gebouwen bomen water bos en met van hier wegen alstublieft te zien
        """
    ),
    "Swedish": _words(
        """
        hur många var vad när vilken vilket finns det är en ett den på i bilden bild beskriv visa hitta räkna
        båtar hus träd vatten skog och med här vägar bilar fartyg
        """
    ),
    "Danish or Norwegian": _words(
        """
        hvor mange hvad hva når hvornår hvilken hvilket er der det et en den på i billedet bildet beskriv vis find
        finn tæl tell både båter huse hus træer trær vand vann skov skog og med her veje finnes
        """
    ),
    "Polish": _words(
        """
        ile gdzie co kiedy jaki jaka jakie jest są na tym obrazie zdjęciu obraz opisz pokaż znajdź policz łodzi
        statków domów budynków wody woda las drzew i z w czy się to dróg samochodów
        """
    ),
    "Czech or Slovak": _words(
        """
        kolik kde co kdy jaký jaká jaké je jsou sú na tomto obrázku snímku popiš popište ukaž najdi spočítej lodí
        lodě domů budov voda vody les stromů a v čo koľko aký
        """
    ),
    "Turkish": _words(
        """
        kaç tane nerede ne zaman hangi var mı mi mu mü bu bir resimde görüntüde görüntü resim tekne gemi ev bina
        su orman ağaç göster bul say tarif et ve yol araba nedir neresi
        """
    ),
    "Indonesian or Malay": _words(
        """
        berapa banyak di mana apa kapan yang ada adakah apakah ini itu gambar citra kapal rumah bangunan air hutan
        pohon jalan mobil dan dengan tunjukkan jelaskan hitung
        """
    ),
    "Finnish": _words(
        """
        kuinka monta missä mikä mitä milloin onko on ovat kuvassa kuva tässä veneitä vene talo taloja vettä metsää
        puita kuvaile näytä etsi laske ja autoja
        """
    ),
    "Romanian": _words(
        """
        câte câți cate cati unde ce când care este sunt în imagine imaginea această o un apă bărci case clădiri
        pădure descrie arată găsește numără și cu din există
        """
    ),
    "Hungarian": _words(
        """
        hány hol mi mikor melyik van vannak a az ezen képen kép hajó ház épület víz erdő fa írd le mutasd keresd
        és látható mennyi
        """
    ),
    "Vietnamese": _words(
        """
        bao nhiêu ở đâu gì khi nào có không là trong ảnh hình này thuyền tàu nhà nước rừng cây mô tả và đếm tìm
        """
    ),
}
