"""Words that seed instructions are made of: our own lists, to be crossed with the templates."""

from __future__ import annotations

TOPICS = (
    "the water cycle", "black holes", "volcanoes", "photosynthesis", "the human heart", "vaccines",
    "earthquakes", "the moon landing", "ancient Rome", "the printing press", "the Silk Road",
    "the French Revolution", "inflation", "supply and demand", "saving money", "taxes", "elections",
    "machine learning", "the internet", "encryption", "batteries", "solar panels", "electric cars",
    "recycling", "coral reefs", "rainforests", "honey bees", "wolves", "migrating birds",
    "dolphins", "learning a language", "public speaking", "time management", "job interviews",
    "working from home", "sleep", "running", "yoga", "healthy breakfasts", "baking bread",
    "gardening", "houseplants",
    "chess", "playing the guitar", "painting", "photography", "poetry", "detective novels", "jazz",
    "museums", "a trip to Japan", "hiking in the Alps", "camping", "cycling in a city", "trains",
    "raising a puppy", "moving to a new city", "friendship", "teamwork", "leadership", "patience",
    "bridges", "skyscrapers", "medieval castles", "clocks", "maps", "glass", "steel", "chocolate",
    "coffee", "tea", "cheese", "the Olympic Games", "football", "swimming", "rivers", "deserts",
)  # fmt: skip

TASKS = (
    "reverses a string", "checks whether a number is prime", "sorts a list of numbers",
    "counts the words in a text", "finds the largest number in a list", "removes duplicates",
    "computes a factorial", "merges two sorted lists", "reads a CSV file and prints its columns",
    "checks whether a word is a palindrome", "converts Celsius to Fahrenheit", "sums even numbers",
    "finds all files in a folder", "downloads a page and counts its links", "draws a triangle",
    "plays rock, paper, scissors", "groups words by their first letter", "validates an email",
    "computes the mean and the median", "finds the second smallest element", "rotates a matrix",
    "prints the Fibonacci numbers", "searches a sorted list", "counts vowels", "parses a date",
)  # fmt: skip
NAMES = ("Anna", "Ben", "Carla", "David", "Ella", "Farid", "Grace", "Hiro", "Ines", "Jonas")
PLURALS = ("cats", "teachers", "trees", "planets", "books", "doctors", "bakers", "robots")
FOREIGN = (
    "Der Zug nach Berlin fährt heute eine Stunde später ab.",
    "Die Kinder spielen im Garten, obwohl es regnet.",
    "Wir haben gestern ein neues Museum besucht und viel gelernt.",
    "Kannst du mir bitte sagen, wo der Bahnhof ist?",
    "Das Wetter wird morgen sonnig und warm sein.",
    "Die Regierung hat ein neues Gesetz über erneuerbare Energien beschlossen.",
    "Meine Schwester arbeitet als Ärztin in einem großen Krankenhaus.",
    "Ich hätte gern einen Kaffee und ein Stück Kuchen.",
    "Le chat dort sur la chaise pendant que la pluie tombe.",
    "Los estudiantes leen un libro sobre la historia de su ciudad.",
    "Nach dem Spiel feierten die Fans auf den Straßen der Stadt.",
    "Die Preise für Lebensmittel sind im letzten Jahr stark gestiegen.",
)
PEOPLE = (
    "Marie Curie", "Abraham Lincoln", "Mozart", "Leonardo da Vinci", "Nelson Mandela",
    "Shakespeare", "Napoleon", "Isaac Newton", "Cleopatra", "Albert Einstein", "Frida Kahlo",
    "Charles Darwin",
    "Martin Luther King", "Galileo", "Florence Nightingale", "Alan Turing", "Jane Austen", "Gandhi",
    "Amelia Earhart", "Socrates", "Beethoven", "Queen Victoria", "Neil Armstrong", "Rosa Parks",
)  # fmt: skip
PLACES = (
    "Canada", "Brazil", "Egypt", "Japan", "Kenya", "Norway", "Peru", "Vietnam", "Greece", "Iceland",
    "Australia", "Mexico", "Portugal", "South Africa", "Turkey", "India", "Cuba", "New Zealand",
    "Chicago", "Paris", "Sydney", "Cairo", "Lisbon", "Moscow", "Mumbai", "the Sahara", "the Amazon",
    "Texas", "Alaska", "California", "Scotland", "the Great Lakes", "Hong Kong", "Boston",
)  # fmt: skip
WORKS = (
    "the Odyssey", "Hamlet", "Star Wars", "The Wizard of Oz", "Titanic", "The Lion King",
    "Friends", "The Simpsons", "Harry Potter", "Pride and Prejudice", "Moby-Dick", "Casablanca",
    "the Mona Lisa", "Jurassic Park", "The Godfather", "Game of Thrones", "Romeo and Juliet",
    "Frozen", "The Hobbit", "Sherlock Holmes", "Les Miserables", "Toy Story", "Grey's Anatomy",
)  # fmt: skip
THINGS = (
    "telephone", "steam engine", "airplane", "microscope", "radio", "light bulb", "bicycle",
    "camera", "World Cup", "Super Bowl", "Nobel Prize in physics", "Tour de France",
    "first world war",
    "civil war", "Great Fire of London", "gold rush", "cold war", "stock market crash", "heart",
    "liver", "periodic table", "constitution", "supreme court", "national anthem", "solar system",
)  # fmt: skip
GOODS = (
    "apples", "marbles", "stickers", "cookies", "tickets", "eggs", "shirts", "pencils", "flowers",
    "bottles of water", "toy cars", "cupcakes", "coins", "stamps", "chairs", "boxes", "pizzas",
)  # fmt: skip
